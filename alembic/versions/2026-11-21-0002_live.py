"""Live: events of turns, who follows them, and rate limits.

`taskchat_system` writes events for all turns of its process in one statement, and so may insert
them; it reads their keys and never their text.
"""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = ("turn_events", "live_connections", "rate_buckets")

GRANTS = (
    "GRANT SELECT (channel) ON turns TO taskchat_system",
    "GRANT SELECT, INSERT ON turn_events TO taskchat_app",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON live_connections TO taskchat_app",
    "GRANT SELECT, INSERT, UPDATE ON rate_buckets TO taskchat_app",
    "GRANT SELECT (user_id, turn_id, seq, type, created_at), INSERT, DELETE ON turn_events"
    " TO taskchat_system",
    "GRANT SELECT, UPDATE (expires_at), DELETE ON live_connections TO taskchat_system",
    "GRANT SELECT (user_id, scope, updated_at), UPDATE (updated_at), DELETE ON rate_buckets"
    " TO taskchat_system",
)


def policies() -> Iterator[str]:
    for table in TABLES:
        yield f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
        yield f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY"
        yield (
            f"CREATE POLICY {table}_owner ON {table} TO taskchat_app"
            " USING (user_id = current_setting('taskchat.user_id', true))"
            " WITH CHECK (user_id = current_setting('taskchat.user_id', true))"
        )
        yield f"CREATE POLICY {table}_system ON {table} TO taskchat_system USING (true)"


def upgrade() -> None:
    op.add_column("turns", sa.Column("last_seq", sa.Integer(), nullable=True))
    op.create_table(
        "turn_events",
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("turn_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["user_id", "turn_id"],
            ["turns.user_id", "turns.id"],
            name=op.f("turn_events_user_id_turn_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "turn_id", "seq", name=op.f("turn_events_pkey")),
    )
    op.create_index(
        "turn_events_created_at_idx", "turn_events", ["created_at"], postgresql_using="brin"
    )
    op.create_table(
        "live_connections",
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=True),
        sa.Column("process", sa.Uuid(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('websocket', 'sse')", name=op.f("live_connections_kind_check")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("live_connections_user_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "id", name=op.f("live_connections_pkey")),
    )
    op.create_index(
        "live_connections_user_id_conversation_id_idx",
        "live_connections",
        ["user_id", "conversation_id"],
    )
    op.create_index("live_connections_process_idx", "live_connections", ["process"])
    op.create_table(
        "rate_buckets",
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("scope", sa.String(length=64), nullable=False),
        sa.Column("per_minute", sa.Double(), nullable=False),
        sa.Column("level", sa.Double(), nullable=False),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("rate_buckets_user_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "scope", name=op.f("rate_buckets_pkey")),
    )
    for statement in (*policies(), *GRANTS):
        op.execute(statement)


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
    op.drop_column("turns", "last_seq")

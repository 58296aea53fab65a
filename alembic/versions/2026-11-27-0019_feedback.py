"""What the agent asks of its user, and turns that wait for the answer."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

SOURCES = Path(__file__).parents[1] / "functions"
FUNCTIONS = ("turn_call_2", "turn_ask_1")

STATEMENTS = (
    "ALTER TABLE feedback_requests ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE feedback_requests FORCE ROW LEVEL SECURITY",
    "CREATE POLICY feedback_requests_owner ON feedback_requests TO taskchat_app"
    " USING (user_id = current_setting('taskchat.user_id', true))"
    " WITH CHECK (user_id = current_setting('taskchat.user_id', true))",
    # Of anybody's, which are over: what was asked is not seen.
    "CREATE POLICY feedback_requests_system ON feedback_requests TO taskchat_system USING (true)",
    "GRANT SELECT, INSERT, UPDATE (status, answer, comment, decisions, channel, closed_at)"
    " ON feedback_requests TO taskchat_app",
    "GRANT SELECT (user_id, id, turn_id, conversation_id, status, asked_at, expires_at)"
    " ON feedback_requests TO taskchat_system",
)


def upgrade() -> None:
    op.create_table(
        "feedback_requests",
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("turn_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("choices", sa.JSON(), nullable=False),
        sa.Column("calls", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(16), server_default=sa.text("'open'"), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("decisions", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("channel", sa.String(16), nullable=True),
        sa.Column(
            "asked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "kind IN ('approval', 'question')", name=op.f("feedback_requests_kind_check")
        ),
        sa.CheckConstraint(
            "status IN ('open', 'approved', 'rejected', 'answered', 'expired', 'withdrawn')",
            name=op.f("feedback_requests_status_check"),
        ),
        sa.ForeignKeyConstraint(
            ["user_id", "turn_id"],
            ["turns.user_id", "turns.id"],
            name=op.f("feedback_requests_user_id_turn_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "id", name=op.f("feedback_requests_pkey")),
    )
    is_open = sa.text("status = 'open'")
    for name, columns, options in (
        ("open_key", ["user_id", "turn_id"], {"unique": True, "postgresql_where": is_open}),
        ("turn_idx", ["user_id", "turn_id"], {}),
        ("asked_idx", ["user_id", "asked_at", "id"], {}),
        ("expires_at_idx", ["expires_at"], {"postgresql_where": is_open}),
    ):
        op.create_index(f"feedback_requests_{name}", "feedback_requests", columns, **options)
    for statement in STATEMENTS:
        op.execute(statement)
    for name in FUNCTIONS:
        source = (SOURCES / f"{name}.sql").read_text(encoding="utf-8")
        op.get_bind().exec_driver_sql(source)


def downgrade() -> None:
    for name in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION {name}")
    op.drop_table("feedback_requests")

"""Usage: the model calls of each turn, and what each user used day by day.

What was used before is taken over from the turns, for the models that wrote their replies and
without a cost, for nobody has kept the prices. What processes of an older version end after this is
counted in the turns alone.
"""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = ("model_calls", "usage_days")

COUNTERS = (
    "turns",
    "model_calls",
    "input_tokens",
    "cached_input_tokens",
    "output_tokens",
    "unpriced_calls",
)

GRANTS = (
    "GRANT SELECT, INSERT ON model_calls TO taskchat_app",
    f"GRANT SELECT, INSERT, UPDATE ({', '.join(COUNTERS)}, cost) ON usage_days TO taskchat_app",
)

# Row-level security binds the owner of the table as well, and would show it nothing.
BACKFILL = (
    "ALTER TABLE turns NO FORCE ROW LEVEL SECURITY",
    "INSERT INTO usage_days (user_id, day, model, turns, model_calls, input_tokens,"
    " cached_input_tokens, output_tokens, cost, unpriced_calls)"
    " SELECT user_id, (finished_at AT TIME ZONE 'UTC')::date, model, count(*), sum(model_calls),"
    " sum(input_tokens), 0, sum(output_tokens), 0,"
    " sum(CASE WHEN model = 'offline' THEN 0 ELSE model_calls END) FROM turns"
    " WHERE finished_at IS NOT NULL AND model IS NOT NULL GROUP BY 1, 2, 3",
    "ALTER TABLE turns FORCE ROW LEVEL SECURITY",
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


def upgrade() -> None:
    for name in ("cached_input_tokens", "duration_ms"):
        op.add_column(
            "model_answers",
            sa.Column(name, sa.Integer(), server_default=sa.text("0"), nullable=False),
        )
    op.create_table(
        "model_calls",
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("turn_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("model", sa.String(length=255), nullable=False),
        sa.Column("input_tokens", sa.Integer(), nullable=False),
        sa.Column("cached_input_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("cost", sa.Numeric(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["user_id", "turn_id"],
            ["turns.user_id", "turns.id"],
            name=op.f("model_calls_user_id_turn_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "turn_id", "number", name=op.f("model_calls_pkey")),
    )
    op.create_table(
        "usage_days",
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("model", sa.String(length=255), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in COUNTERS),
        sa.Column("cost", sa.Numeric(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("usage_days_user_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "day", "model", name=op.f("usage_days_pkey")),
    )
    for statement in (*BACKFILL, *policies(), *GRANTS):
        op.execute(statement)


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
    for name in ("cached_input_tokens", "duration_ms"):
        op.drop_column("model_answers", name)

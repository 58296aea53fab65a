"""Usage: the model calls of each turn, and what each user used day by day.

What was used before is taken over from the turns, for the models that wrote their replies and
without a cost, for nobody has kept the prices. What processes of an older version end after this is
counted in the turns alone.

Those processes go on meanwhile. So each step is a transaction of its own, locks one table of theirs
for a moment and may be done again: whoever runs this after it was cut off goes on from there.
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

# How far the turns are taken over, and until when they count: what ends later may be told by a
# process that counts it already.
PROGRESS = (
    "CREATE TABLE IF NOT EXISTS usage_backfill AS SELECT clock_timestamp() AS until,"
    " ''::text AS user_id, '00000000-0000-0000-0000-000000000000'::uuid AS turn_id"
)

# Row-level security binds the owner of the table as well, and would show it nothing. Lifting it
# would lock the table for as long as this takes. Made anew, for another login may have begun.
SIGHT = """
DO $$
BEGIN
    DROP POLICY IF EXISTS usage_backfill ON turns;
    CREATE POLICY usage_backfill ON turns FOR SELECT TO CURRENT_USER USING (true);
END
$$
"""

BATCH_TURNS = 5000
"""Counted in well under a second, so that nothing is held back by it for longer."""

# The sums and how far they go are one statement: it is done as a whole, or not at all. The lock is
# for the server, which may finish the statement of a process that was killed.
BATCH = f"""
WITH so_far AS MATERIALIZED (
    SELECT * FROM usage_backfill FOR UPDATE
), batch AS (
    -- Not by a join, which would read all that is done already.
    SELECT t.* FROM turns AS t
    WHERE (t.user_id, t.id) > ((SELECT user_id FROM so_far), (SELECT turn_id FROM so_far))
    ORDER BY t.user_id, t.id LIMIT {BATCH_TURNS}
), counted AS (
    INSERT INTO usage_days AS d (user_id, day, model, {", ".join(COUNTERS)}, cost)
    SELECT t.user_id, (t.finished_at AT TIME ZONE 'UTC')::date, t.model, count(*),
        sum(t.model_calls), sum(t.input_tokens), 0, sum(t.output_tokens),
        sum(CASE WHEN t.model = 'offline' THEN 0 ELSE t.model_calls END), 0
    FROM batch AS t, so_far AS b
    WHERE t.finished_at <= b.until AND t.model IS NOT NULL GROUP BY 1, 2, 3
    ON CONFLICT (user_id, day, model) DO UPDATE
    SET {", ".join(f"{name} = d.{name} + excluded.{name}" for name in COUNTERS)}
)
UPDATE usage_backfill SET (user_id, turn_id) = (
    SELECT user_id, id FROM batch ORDER BY user_id DESC, id DESC LIMIT 1
) WHERE EXISTS (SELECT FROM batch)
"""

TAKEN_OVER = ("DROP POLICY usage_backfill ON turns", "DROP TABLE usage_backfill")


def policies() -> Iterator[str]:
    for table in TABLES:
        yield f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
        yield f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY"
        yield (
            f"CREATE POLICY {table}_owner ON {table} TO taskchat_app"
            " USING (user_id = current_setting('taskchat.user_id', true))"
            " WITH CHECK (user_id = current_setting('taskchat.user_id', true))"
        )


def make_tables() -> None:
    for name in ("cached_input_tokens", "duration_ms"):
        op.add_column(
            "model_answers",
            sa.Column(name, sa.Integer(), server_default=sa.text("0"), nullable=False),
            if_not_exists=True,
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
        if_not_exists=True,
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
        if_not_exists=True,
    )


def upgrade() -> None:
    with op.get_context().autocommit_block():
        make_tables()
        op.execute(PROGRESS)
        op.execute(SIGHT)
        while op.get_bind().execute(sa.text(BATCH)).rowcount:
            pass
    # Row-level security comes last: it would keep the owner from writing the sums.
    for statement in (*TAKEN_OVER, *policies(), *GRANTS):
        op.execute(statement)


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
    for name in ("cached_input_tokens", "duration_ms"):
        op.drop_column("model_answers", name)

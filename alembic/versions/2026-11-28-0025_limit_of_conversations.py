"""How many conversations a user may have; and which buckets are full, for housekeeping.

A release before this one names no limit and has none, beside one that does.
"""

from pathlib import Path

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

SOURCES = Path(__file__).parents[1] / "functions"
FUNCTIONS = ("conversation_fits_2", "turn_begin_5", "turn_begin_6")


def upgrade() -> None:
    for name in FUNCTIONS:
        source = (SOURCES / f"{name}.sql").read_text(encoding="utf-8")
        op.get_bind().exec_driver_sql(source)
    op.execute("GRANT SELECT (per_minute, level) ON rate_buckets TO taskchat_system")


def downgrade() -> None:
    op.execute("REVOKE SELECT (per_minute, level) ON rate_buckets FROM taskchat_system")
    for name in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION {name}")

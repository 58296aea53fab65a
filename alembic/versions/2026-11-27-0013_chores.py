"""Chores of housekeeping: each is done by one process at a time, once an interval."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE chores ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE chores FORCE ROW LEVEL SECURITY",
    # Nothing in it is any user's, and none needs to know.
    "CREATE POLICY chores_system ON chores TO taskchat_system USING (true)",
    "GRANT SELECT, INSERT, UPDATE ON chores TO taskchat_system",
)


def _time(name: str, **options: object) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), **options)  # type: ignore[arg-type]


def upgrade() -> None:
    op.create_table(
        "chores",
        sa.Column("name", sa.String(64), nullable=False),
        _time("due_at", server_default=sa.text("now()"), nullable=False),
        sa.Column("run", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("process", sa.Uuid(), nullable=True),
        _time("held_until", nullable=True),
        _time("started_at", nullable=True),
        _time("finished_at", nullable=True),
        sa.Column("rows", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("error", sa.String(64), nullable=True),
        _time("created_at", server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("chores_pkey")),
    )
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("chores")

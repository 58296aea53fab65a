"""Processes, which live or not: the lease is the process's, and its turns name their owner."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE processes ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE processes FORCE ROW LEVEL SECURITY",
    # Whoever waits for a turn has to know whether its owner lives; the row tells nothing else.
    "CREATE POLICY processes_seen ON processes FOR SELECT TO taskchat_app USING (true)",
    "CREATE POLICY processes_system ON processes TO taskchat_system USING (true)",
    "GRANT SELECT ON processes TO taskchat_app",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON processes TO taskchat_system",
)


def upgrade() -> None:
    op.create_table(
        "processes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session", sa.BigInteger(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stuck", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("processes_pkey")),
    )
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("processes")

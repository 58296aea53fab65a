"""Takeovers, each with its reason: whether a process died is known for certain only later."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE takeovers ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE takeovers FORCE ROW LEVEL SECURITY",
    "CREATE POLICY takeovers_owner ON takeovers TO taskchat_app"
    " USING (user_id = current_setting('taskchat.user_id', true))"
    " WITH CHECK (user_id = current_setting('taskchat.user_id', true))",
    "CREATE POLICY takeovers_system ON takeovers TO taskchat_system USING (true)",
    "GRANT SELECT, INSERT ON takeovers TO taskchat_app, taskchat_system",
)


def upgrade() -> None:
    op.create_table(
        "takeovers",
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("turn_id", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.String(16), nullable=False),
        sa.Column("left_by", sa.Uuid(), nullable=True),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("user_id", "turn_id", "attempt", name=op.f("takeovers_pkey")),
        sa.ForeignKeyConstraint(
            ["user_id", "turn_id"],
            ["turns.user_id", "turns.id"],
            name=op.f("takeovers_user_id_turn_id_fkey"),
            ondelete="CASCADE",
        ),
    )
    for statement in STATEMENTS:
        op.execute(statement)
    op.add_column(
        "processes",
        sa.Column("ended", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )


def downgrade() -> None:
    op.drop_column("processes", "ended")
    op.drop_table("takeovers")

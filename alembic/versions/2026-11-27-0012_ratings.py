"""What users think of replies."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ratings",
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("value", sa.String(length=4), nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column(
            "rated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint("value IN ('up', 'down')", name=op.f("ratings_value_check")),
        sa.ForeignKeyConstraint(
            ["user_id", "message_id"],
            ["messages.user_id", "messages.id"],
            name=op.f("ratings_user_id_message_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "message_id", name=op.f("ratings_pkey")),
    )
    for statement in (
        "ALTER TABLE ratings ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE ratings FORCE ROW LEVEL SECURITY",
        "CREATE POLICY ratings_owner ON ratings TO taskchat_app"
        " USING (user_id = current_setting('taskchat.user_id', true))"
        " WITH CHECK (user_id = current_setting('taskchat.user_id', true))",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ratings TO taskchat_app",
    ):
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("ratings")

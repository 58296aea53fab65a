"""Ids that clients of other protocols choose."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

SOURCE = Path(__file__).parents[1] / "functions" / "turn_begin_4.sql"


def upgrade() -> None:
    op.create_table(
        "external_ids",
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("protocol", sa.String(length=32), nullable=False),
        sa.Column("text", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id", "conversation_id"],
            ["conversations.user_id", "conversations.id"],
            name=op.f("external_ids_user_id_conversation_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "id", name=op.f("external_ids_pkey")),
    )
    op.create_index("external_ids_conversation_idx", "external_ids", ["user_id", "conversation_id"])
    for statement in (
        "ALTER TABLE external_ids ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE external_ids FORCE ROW LEVEL SECURITY",
        "CREATE POLICY external_ids_owner ON external_ids TO taskchat_app"
        " USING (user_id = current_setting('taskchat.user_id', true))"
        " WITH CHECK (user_id = current_setting('taskchat.user_id', true))",
        "GRANT SELECT, INSERT ON external_ids TO taskchat_app",
    ):
        op.execute(statement)
    op.get_bind().exec_driver_sql(SOURCE.read_text(encoding="utf-8"))


def downgrade() -> None:
    op.execute("DROP FUNCTION turn_begin_4")
    op.drop_table("external_ids")

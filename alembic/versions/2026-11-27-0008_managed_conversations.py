"""Conversations that are archived, and those that are paused because nothing is said in them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

STATEMENTS = (
    # Housekeeping pauses what is idle, of whatever user. It reads no text, and can do nothing else.
    "CREATE POLICY conversations_system_sees ON conversations FOR SELECT TO taskchat_system"
    " USING (true)",
    "CREATE POLICY conversations_system_pauses ON conversations FOR UPDATE TO taskchat_system"
    " USING (status = 'active') WITH CHECK (status = 'paused')",
    "GRANT SELECT (user_id, id, status, updated_at), UPDATE (status) ON conversations"
    " TO taskchat_system",
)
UNDONE = (
    "REVOKE SELECT (user_id, id, status, updated_at), UPDATE (status) ON conversations"
    " FROM taskchat_system",
    "DROP POLICY conversations_system_pauses ON conversations",
    "DROP POLICY conversations_system_sees ON conversations",
)


def upgrade() -> None:
    # Each of these may be done again: after a migration that was cut off, this begins anew.
    with op.get_context().autocommit_block():
        op.add_column(
            "conversations",
            sa.Column("archived", sa.Boolean(), server_default=sa.text("false"), nullable=False),
            if_not_exists=True,
        )
        # An index whose making was cut off is there, and of no use.
        op.drop_index(
            "conversations_active_idx",
            table_name="conversations",
            if_exists=True,
            postgresql_concurrently=True,
        )
        op.create_index(
            "conversations_active_idx",
            "conversations",
            ["updated_at"],
            postgresql_where=sa.text("status = 'active'"),
            postgresql_concurrently=True,
        )
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.drop_index("conversations_active_idx", table_name="conversations")
    for statement in UNDONE:
        op.execute(statement)
    op.drop_column("conversations", "archived")

"""Where imported conversations and tasks come from; deleting all that a user has."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLES = ("conversations", "tasks")
INDEX = "tasks_user_id_origin_key"
GRANTS = ("users", "turns")


def upgrade() -> None:
    # A transaction of its own for each, as an index that is made concurrently needs.
    with op.get_context().autocommit_block():
        for table in TABLES:
            op.add_column(table, sa.Column("origin", sa.Uuid(), nullable=True), if_not_exists=True)
        # What a build that was killed has left is no index.
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {INDEX}")
        op.create_index(
            INDEX,
            "tasks",
            ["user_id", "origin"],
            unique=True,
            postgresql_where=sa.text("origin IS NOT NULL"),
            postgresql_concurrently=True,
        )
    for table in GRANTS:
        op.execute(f"GRANT DELETE ON {table} TO taskchat_app")


def downgrade() -> None:
    for table in GRANTS:
        op.execute(f"REVOKE DELETE ON {table} FROM taskchat_app")
    for table in reversed(TABLES):
        op.drop_column(table, "origin")

"""The index of the words in messages, made while the release before this one goes on writing."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

INDEX = "messages_words_idx"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # What a build that was killed has left is no index.
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {INDEX}")
        op.create_index(
            INDEX,
            "messages",
            [sa.text("search_words_1(user_id, content)")],
            postgresql_using="gin",
            # What is not sorted in yet is read through at every search.
            postgresql_with={"gin_pending_list_limit": "256"},
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    op.drop_index(INDEX, table_name="messages")

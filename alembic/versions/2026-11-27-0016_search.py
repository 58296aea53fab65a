"""Searching by words: the functions, and the one policy that lets an index answer.

Full text is not leakproof, so that an index of it is of no use behind row-level security, but for
what a policy itself asks. `taskchat_system` sees the messages of the user that the transaction
names which match what it looks for, and of these no text.
"""

from pathlib import Path

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

SOURCES = Path(__file__).parents[1] / "functions"

FUNCTIONS = (
    "search_fold_1",
    "search_words_1",
    "search_sketch_1",
    "search_text_1",
    "search_read_1",
    "message_repeats_1",
    "search_find_1",
    "search_show_1",
    "search_vocabulary_1",
)

STATEMENTS = (
    "CREATE POLICY messages_system_finds ON messages FOR SELECT TO taskchat_system"
    " USING (user_id = current_setting('taskchat.user_id', true)"
    " AND search_words_1(user_id, content)"
    " @@ nullif(current_setting('taskchat.search', true), '')::tsquery)",
    "GRANT SELECT (user_id, id, conversation_id, created_at) ON messages TO taskchat_system",
)
UNDONE = (
    "REVOKE SELECT (user_id, id, conversation_id, created_at) ON messages FROM taskchat_system",
    "DROP POLICY messages_system_finds ON messages",
)


def upgrade() -> None:
    for name in FUNCTIONS:
        op.get_bind().exec_driver_sql((SOURCES / f"{name}.sql").read_text(encoding="utf-8"))
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    for statement in UNDONE:
        op.execute(statement)
    for name in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION {name}")

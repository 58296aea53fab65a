"""Other versions of a message: turns that follow what an earlier one followed.

What a release before this one calls goes on working beside it: a message that it takes follows the
branch that the conversation shows.
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import INT4MULTIRANGE

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

SOURCES = Path(__file__).parents[1] / "functions"
INDEX = "turns_versions_idx"
FUNCTIONS = (
    "turn_history_2",
    "turn_summary_1",
    "turn_version_1",
    "conversation_page_2",
    "turn_begin_2",
)
REPLACED = {
    "conversation_page_1": "SELECT page.messages, page.has_more FROM conversation_page_2("
    "$1, $2, $3, $4) AS page",
    "turn_begin_1": "SELECT b.outcome, b.turn, b.conversation, b.number, b.status, b.result,"
    " b.fingerprint, b.waiting, b.scopes, b.levels, b.limits_failed,"
    # That release takes each turn apart into four.
    " (SELECT json_agg(json_build_array(turn -> 0, turn -> 1, turn -> 2, turn -> 3) ORDER BY place)"
    " FROM json_array_elements(b.history::json) WITH ORDINALITY AS past(turn, place))::text,"
    " b.summary,"
    " b.summary_turn, b.open_tasks FROM turn_begin_2("
    + ", ".join(f"${number}" for number in range(1, 28))
    + ", NULL, NULL, NULL) AS b",
}
"""Bodies of the functions that the release before calls. `turn_settle_1` calls the first one."""


def source(name: str) -> str:
    """The SQL that makes a function."""
    return (SOURCES / f"{name}.sql").read_text(encoding="utf-8")


def replacing(name: str) -> str:
    """The same SQL, for a function that is there."""
    return source(name).replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for table, name, kind in (
            ("conversations", "branch", INT4MULTIRANGE()),
            ("turns", "path", INT4MULTIRANGE()),
            ("turns", "version_of", sa.Integer()),
        ):
            op.add_column(table, sa.Column(name, kind, nullable=True), if_not_exists=True)
        # What a build that was killed has left is no index.
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {INDEX}")
        op.create_index(
            INDEX,
            "turns",
            ["user_id", "conversation_id", "version_of"],
            postgresql_where=sa.text("version_of IS NOT NULL"),
            postgresql_concurrently=True,
        )
    for name in FUNCTIONS:
        op.get_bind().exec_driver_sql(source(name))
    for name, body in REPLACED.items():
        head, _ = replacing(name).split("LANGUAGE plpgsql")
        op.get_bind().exec_driver_sql(f"{head}LANGUAGE sql AS $$ {body} $$")


def downgrade() -> None:
    for name in REPLACED:
        op.get_bind().exec_driver_sql(replacing(name))
    for name in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION {name}")
    op.drop_index(INDEX, table_name="turns")
    for table, name in (("turns", "version_of"), ("turns", "path"), ("conversations", "branch")):
        op.drop_column(table, name)

"""Messages to turns that are unfinished, which their runs read.

What a release before this one calls goes on working beside it: what it is given of history leaves
out nothing that was said, and the replies that stand behind such messages are found.
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

SOURCES = Path(__file__).parents[1] / "functions"
FUNCTIONS = ("turn_history_3", "turn_begin_3", "turn_steer_1", "turn_settle_2")
OLDER = (
    "(SELECT json_agg(json_build_array(turn -> 0, (turn ->> 1) || coalesce((SELECT"
    " string_agg(E'\\n\\n' || (one ->> 0), '' ORDER BY place) FROM json_array_elements("
    "CASE json_typeof(turn -> 5) WHEN 'array' THEN turn -> 5 ELSE '[]' END)"
    " WITH ORDINALITY AS said(one, place)), ''), turn -> 2, turn -> 3, turn -> 4) ORDER BY nth)"
    " FROM json_array_elements({history}::json) WITH ORDINALITY AS past(turn, nth))::text"
)
"""A history as that release reads it: what was said in a turn is one text."""

REPLACED = {
    "turn_history_2": f"SELECT {OLDER.format(history='turn_history_3($1, $2, $3, $4)')}",
    "turn_begin_2": "SELECT b.outcome, b.turn, b.conversation, b.number, b.status, b.result,"
    " b.fingerprint, b.waiting, b.scopes, b.levels, b.limits_failed,"
    f" {OLDER.format(history='b.history')}, b.summary, b.summary_turn, b.open_tasks,"
    " b.version_of, b.version, b.follows, b.changes_kept FROM turn_begin_3("
    + ", ".join(f"${number}" for number in range(1, 31))
    + ") AS b",
}
"""Bodies of the functions that the release before calls."""

BEFORE = "(position = 0 AND role = 'user') OR (position = 1 AND role = 'assistant')"
AFTER = f"{BEFORE} OR (position >= 2 AND role IN ('user', 'assistant'))"
ROLE = "messages_role_check"

STATEMENTS = (
    "ALTER TABLE steering ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE steering FORCE ROW LEVEL SECURITY",
    "CREATE POLICY steering_owner ON steering TO taskchat_app"
    " USING (user_id = current_setting('taskchat.user_id', true))"
    " WITH CHECK (user_id = current_setting('taskchat.user_id', true))",
    # Of anybody's, whose keys are to be forgotten.
    "CREATE POLICY steering_system ON steering TO taskchat_system USING (true)",
    "GRANT SELECT, INSERT, UPDATE (read_after_answers, read_after_calls) ON steering"
    " TO taskchat_app",
    "GRANT SELECT (user_id, message_id, turn_id, idempotency_key),"
    " UPDATE (idempotency_key, fingerprint) ON steering TO taskchat_system",
)


def source(name: str) -> str:
    """The SQL that makes a function."""
    return (SOURCES / f"{name}.sql").read_text(encoding="utf-8")


def replacing(name: str) -> str:
    """The same SQL, for a function that is there."""
    return source(name).replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1)


def _allow(check: str) -> None:
    """Have the roles of messages checked otherwise, from the next row on."""
    op.execute(
        f"ALTER TABLE messages DROP CONSTRAINT IF EXISTS {ROLE},"
        f" ADD CONSTRAINT {ROLE} CHECK ({check}) NOT VALID"
    )


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # Nobody waits for the rows that are there to be read.
        _allow(AFTER)
        op.execute(f"ALTER TABLE messages VALIDATE CONSTRAINT {ROLE}")
    op.create_table(
        "steering",
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("turn_id", sa.Uuid(), nullable=False),
        sa.Column("idempotency_key", sa.String(255), nullable=True),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=True),
        sa.Column("read_after_answers", sa.Integer(), nullable=True),
        sa.Column("read_after_calls", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id", "message_id"],
            ["messages.user_id", "messages.id"],
            name=op.f("steering_user_id_message_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id", "turn_id"],
            ["turns.user_id", "turns.id"],
            name=op.f("steering_user_id_turn_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "message_id", name=op.f("steering_pkey")),
    )
    op.create_index("steering_turn_idx", "steering", ["user_id", "turn_id"])
    op.create_index(
        "steering_user_id_idempotency_key_key",
        "steering",
        ["user_id", "idempotency_key"],
        unique=True,
        postgresql_where=sa.text("idempotency_key IS NOT NULL"),
    )
    for statement in STATEMENTS:
        op.execute(statement)
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
    # What was said while a turn ran has no place there.
    op.execute("DELETE FROM messages WHERE role = 'user' AND position > 0")
    op.execute("UPDATE messages SET position = 1 WHERE position > 1")
    _allow(BEFORE)
    op.execute(f"ALTER TABLE messages VALIDATE CONSTRAINT {ROLE}")
    op.drop_table("steering")

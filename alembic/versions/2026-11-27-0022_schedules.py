"""Schedules: messages that are said at a time, or by a rule; and the channel by which they come.

What a release before this one runs goes on beside it. It does not know the channel: let nobody make
a schedule before the last of its processes is gone.
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

SOURCES = Path(__file__).parents[1] / "functions"
FUNCTIONS = ("schedule_add_1",)

REPLACED = {
    "task_effect_1": (
        "    WHEN 'list' THEN\n",
        "    WHEN 'schedule' THEN\n"
        # A message that is kept to be said: `_title` is its text, `_description` the rest as JSON.
        "        IF schedule_add_1(_owner, (_description::json ->> 'id')::uuid,\n"
        "            (_description::json ->> 'conversation')::uuid, _title,\n"
        "            (_description::json ->> 'at')::timestamptz,\n"
        "            _description::json ->> 'rule', _description::json ->> 'time_zone',\n"
        "            (_description::json ->> 'starts_at')::timestamp,\n"
        "            (_description::json ->> 'next_at')::timestamptz,\n"
        "            (_description::json ->> 'number')::int,\n"
        "            (_description::json ->> 'schedules_max')::int)\n"
        "        THEN\n"
        "            RETURN json_build_object('schedule_id', _description::json ->> 'id',\n"
        "                'status', _done, 'next_at', _description::json ->> 'next_at');\n"
        "        END IF;\n"
        "        RETURN NULL;\n"
        "    WHEN 'list' THEN\n",
    ),
}
"""Of functions that are there: what is replaced in them, and by what."""

CHANNELS = "'rest', 'sse', 'websocket'"
MINE = "user_id = current_setting('taskchat.user_id', true)"
STATEMENTS = (
    "ALTER TABLE schedules ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE schedules FORCE ROW LEVEL SECURITY",
    f"CREATE POLICY schedules_owner ON schedules TO taskchat_app USING ({MINE})"
    f" WITH CHECK ({MINE})",
    # Whoever looks for what is due sees which it is, not what it says.
    "CREATE POLICY schedules_system ON schedules TO taskchat_system USING (true)",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON schedules TO taskchat_app",
    "GRANT SELECT (user_id, id, status, next_at, try_at, updated_at), UPDATE (try_at), DELETE"
    " ON schedules TO taskchat_system",
)


def source(name: str) -> str:
    """The SQL that makes a function."""
    return (SOURCES / f"{name}.sql").read_text(encoding="utf-8")


def replacing(name: str) -> str:
    """The same SQL, for a function that is there."""
    return source(name).replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1)


def let_come_by(channels: str) -> None:
    """Change by which channels a turn may have come, without holding up who uses the table."""
    # What is there is looked through in a second step, which stands in nobody's way.
    op.execute(
        "ALTER TABLE turns DROP CONSTRAINT IF EXISTS turns_channel_check,"
        f" ADD CONSTRAINT turns_channel_check CHECK (channel IN ({channels})) NOT VALID"
    )
    op.execute("ALTER TABLE turns VALIDATE CONSTRAINT turns_channel_check")


def upgrade() -> None:
    with op.get_context().autocommit_block():
        let_come_by(f"{CHANNELS}, 'schedule'")
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "schedules",
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("at", moment, nullable=True),
        sa.Column("rule", sa.String(500), nullable=True),
        sa.Column("time_zone", sa.String(100), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=False), nullable=True),
        sa.Column("status", sa.String(16), server_default=sa.text("'active'"), nullable=False),
        sa.Column("end_reason", sa.String(32), nullable=True),
        sa.Column("next_at", moment, nullable=True),
        sa.Column("number", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("try_at", moment, nullable=True),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_at", moment, nullable=True),
        sa.Column("last_turn_id", sa.Uuid(), nullable=True),
        sa.Column("last_error", sa.String(64), nullable=True),
        sa.Column("created_at", moment, server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", moment, server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "status IN ('active', 'paused', 'ended')", name=op.f("schedules_status_check")
        ),
        sa.CheckConstraint("(at IS NULL) <> (rule IS NULL)", name=op.f("schedules_plan_check")),
        sa.CheckConstraint(
            "(rule IS NULL) = (starts_at IS NULL)", name=op.f("schedules_start_check")
        ),
        sa.CheckConstraint(
            "(status = 'active') = (next_at IS NOT NULL) AND (next_at IS NULL) = (try_at IS NULL)",
            name=op.f("schedules_next_check"),
        ),
        sa.CheckConstraint(
            "(status = 'ended') = (end_reason IS NOT NULL)", name=op.f("schedules_end_check")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("schedules_user_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "id", name=op.f("schedules_pkey")),
    )
    op.create_index(
        "schedules_try_at_idx",
        "schedules",
        ["try_at"],
        postgresql_where=sa.text("status = 'active'"),
    )
    op.create_index(
        "schedules_updated_at_idx",
        "schedules",
        ["updated_at"],
        postgresql_where=sa.text("status = 'ended'"),
    )
    for statement in STATEMENTS:
        op.execute(statement)
    for name in FUNCTIONS:
        op.get_bind().exec_driver_sql(source(name))
    for name, (found, put) in REPLACED.items():
        assert replacing(name).count(found) == 1  # noqa: S101 - the file never changes
        op.get_bind().exec_driver_sql(replacing(name).replace(found, put))


def downgrade() -> None:
    for name in REPLACED:
        op.get_bind().exec_driver_sql(replacing(name))
    for name in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION {name}")
    op.drop_table("schedules")
    # The turns stay, and so do their messages: the channel next to it is told.
    op.execute("UPDATE turns SET channel = 'rest' WHERE channel = 'schedule'")
    let_come_by(CHANNELS)

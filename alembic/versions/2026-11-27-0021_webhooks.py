"""Webhooks: who wants to be told of what, and what is still to be told.

What makes an event true notes it, in the functions that both releases call: a turn that ends wakes
the next one, one that asks waits, and a task is added, changed and deleted in one place each.
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

SOURCES = Path(__file__).parents[1] / "functions"
FUNCTIONS = (
    "webhook_note_1",
    "webhook_turn_1",
    "webhook_task_1",
    "webhook_read_1",
    "webhook_next_1",
    "webhook_sent_1",
)

REPLACED = {
    "wake_next_1": (
        "BEGIN\n",
        "BEGIN\n"
        "    PERFORM webhook_turn_1(_owner, _conversation, _turn, 'turn.' || t.status)\n"
        "        FROM turns AS t WHERE t.user_id = _owner AND t.id = _turn\n"
        "            AND t.status IN ('completed', 'failed', 'cancelled');\n",
    ),
    "turn_ask_1": (
        "    -- Whoever waits for the turn elsewhere",
        "    PERFORM webhook_turn_1(_bound_to, _conversation, _turn, 'turn.awaiting_feedback');\n"
        "    -- Whoever waits for the turn elsewhere",
    ),
    "task_add_1": (
        "        RETURNING *;\n",
        "        RETURNING *;\n"
        "    PERFORM webhook_task_1(_owner, u.last_task, false, 'task.created')\n"
        "        FROM users AS u WHERE u.id = _owner;\n",
    ),
    "task_change_1": (
        "BEGIN\n",
        "DECLARE\n"
        "    _was boolean;\n"
        "BEGIN\n"
        "    SELECT completed INTO _was FROM tasks WHERE user_id = _owner AND id = _id"
        " FOR NO KEY UPDATE;\n"
        "    IF FOUND THEN\n"
        "        PERFORM webhook_task_1(_owner, _id, coalesce(_completed, _was),\n"
        "            CASE WHEN _completed AND NOT _was THEN 'task.completed'\n"
        "                ELSE 'task.updated' END);\n"
        "    END IF;\n",
    ),
    "task_delete_1": (
        "RETURNING *;\n",
        "RETURNING *;\n"
        "    IF FOUND THEN\n"
        "        PERFORM webhook_task_1(_owner, _id, NULL, 'task.deleted');\n"
        "    END IF;\n",
    ),
}
"""Of functions that are there: what is replaced in them, and by what."""

MINE = "user_id = current_setting('taskchat.user_id', true)"
STATEMENTS = (
    *(
        statement
        for table in ("webhooks", "webhook_deliveries")
        for statement in (
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
            f"CREATE POLICY {table}_owner ON {table} TO taskchat_app"
            f" USING ({MINE}) WITH CHECK ({MINE})",
            f"CREATE POLICY {table}_system ON {table} TO taskchat_system USING (true)",
        )
    ),
    "ALTER TABLE operator_webhooks ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE operator_webhooks FORCE ROW LEVEL SECURITY",
    # Whoever notes an event has to know for whom.
    "CREATE POLICY operator_webhooks_seen ON operator_webhooks FOR SELECT TO taskchat_app"
    " USING (true)",
    "CREATE POLICY operator_webhooks_system ON operator_webhooks TO taskchat_system USING (true)",
    "GRANT SELECT ON operator_webhooks TO taskchat_app",
    "GRANT SELECT, INSERT, UPDATE ON operator_webhooks TO taskchat_system",
    "GRANT SELECT, INSERT, UPDATE (url, events, secret, previous_secret, previous_until,"
    " paused_reason, paused_at, failing_since), DELETE ON webhooks TO taskchat_app",
    "GRANT SELECT, INSERT, UPDATE (status, is_first, attempts, next_at, due_since, lease,"
    " leased_until, last_status, last_error, finished_at), DELETE"
    " ON webhook_deliveries TO taskchat_app",
    # Which are due: no address, no secret, and nothing of what is sent.
    "GRANT SELECT (user_id, id, paused_reason, paused_at), UPDATE (paused_reason, paused_at)"
    " ON webhooks TO taskchat_system",
    "GRANT SELECT (user_id, id, seq, webhook_id, lane, status, is_first, attempts, next_at, lease,"
    " leased_until, finished_at), UPDATE (is_first, attempts, lease, leased_until), DELETE"
    " ON webhook_deliveries TO taskchat_system",
)


def source(name: str) -> str:
    """The SQL that makes a function."""
    return (SOURCES / f"{name}.sql").read_text(encoding="utf-8")


def replacing(name: str) -> str:
    """The same SQL, for a function that is there."""
    return source(name).replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1)


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "operator_webhooks",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("wanted_until", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("operator_webhooks_pkey")),
    )
    op.create_table(
        "webhooks",
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", ARRAY(sa.Text()), nullable=True),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("previous_secret", sa.LargeBinary(), nullable=True),
        sa.Column("previous_until", moment, nullable=True),
        sa.Column("paused_reason", sa.String(16), nullable=True),
        sa.Column("paused_at", moment, nullable=True),
        sa.Column("failing_since", moment, nullable=True),
        sa.Column("created_at", moment, server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "paused_reason IN ('user', 'failing', 'gone', 'backlog')",
            name=op.f("webhooks_paused_reason_check"),
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("webhooks_user_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "id", name=op.f("webhooks_pkey")),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("webhook_id", sa.Uuid(), nullable=True),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("event", sa.String(64), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("status", sa.String(16), server_default=sa.text("'pending'"), nullable=False),
        sa.Column("is_first", sa.Boolean(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_at", moment, server_default=sa.text("now()"), nullable=False),
        sa.Column("due_since", moment, server_default=sa.text("now()"), nullable=False),
        sa.Column("lease", sa.Uuid(), nullable=True),
        sa.Column("leased_until", moment, nullable=True),
        sa.Column("last_status", sa.SmallInteger(), nullable=True),
        sa.Column("last_error", sa.String(200), nullable=True),
        sa.Column("created_at", moment, server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", moment, nullable=True),
        sa.CheckConstraint(
            "status IN ('pending', 'delivered', 'dead')",
            name=op.f("webhook_deliveries_status_check"),
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("webhook_deliveries_user_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id", "webhook_id"],
            ["webhooks.user_id", "webhooks.id"],
            name=op.f("webhook_deliveries_user_id_webhook_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "id", name=op.f("webhook_deliveries_pkey")),
    )
    for name, columns, condition in (
        ("webhook", ["user_id", "webhook_id", "id"], None),
        ("lane", ["user_id", "lane", "seq"], "status = 'pending'"),
        ("new", ["seq"], "status = 'pending' AND is_first IS NULL"),
        ("first", ["webhook_id", "next_at"], "is_first"),
        ("leased", ["leased_until"], "leased_until IS NOT NULL"),
        ("finished", ["finished_at"], "finished_at IS NOT NULL"),
    ):
        op.create_index(
            f"webhook_deliveries_{name}_idx",
            "webhook_deliveries",
            columns,
            postgresql_where=None if condition is None else sa.text(condition),
        )
    op.create_index(
        "webhook_deliveries_first_key",
        "webhook_deliveries",
        ["user_id", "lane"],
        unique=True,
        postgresql_where=sa.text("is_first"),
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
    for table in ("webhook_deliveries", "webhooks", "operator_webhooks"):
        op.drop_table(table)

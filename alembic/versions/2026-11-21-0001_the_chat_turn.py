"""The chat turn: users, tasks, conversations, turns, messages, tool calls, and who may see them.

Every table is under FORCEd row-level security. Two roles that nobody logs in as are granted to
the login that migrates: `taskchat_app` sees the rows of the user it is told of, and
`taskchat_system` sees a turn's state, but no text of anybody's, to find what died.
"""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

OWNER_COLUMNS = {
    "users": "id",
    "conversations": "user_id",
    "tasks": "user_id",
    "turns": "user_id",
    "messages": "user_id",
    "model_answers": "user_id",
    "tool_calls": "user_id",
}

# Roles belong to the cluster, not to the database: another database may have made them already,
# or be making them at this moment.
ROLES = """
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['taskchat_app', 'taskchat_system'] LOOP
        -- A login that may make no roles may well have been given these.
        IF to_regrole(wanted) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
        BEGIN
            -- Also where this login made the role: since Postgres 16 that alone lets it
            -- administer the role, but not enter it.
            EXECUTE format('GRANT %I TO CURRENT_USER', wanted);
        EXCEPTION WHEN insufficient_privilege THEN
            IF NOT pg_has_role(current_user, wanted, 'MEMBER') THEN
                RAISE EXCEPTION 'this login may not enter the role %', wanted
                    USING HINT = format('As its administrator run GRANT %I TO this login.', wanted);
            END IF;
        END;
    END LOOP;
END
$$
"""

GRANTS = (
    "GRANT SELECT, INSERT, UPDATE (last_task) ON users TO taskchat_app",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON conversations, tasks TO taskchat_app",
    "GRANT SELECT, INSERT, UPDATE ON turns TO taskchat_app",
    "GRANT SELECT, INSERT ON messages, model_answers, tool_calls TO taskchat_app",
    "GRANT SELECT (user_id, id, conversation_id, number, status, attempt, deaths, owner,"
    " lease_expires_at, idempotency_key, created_at, started_at, finished_at),"
    " UPDATE (status, attempt, deaths, owner, lease_expires_at, started_at, idempotency_key,"
    " fingerprint) ON turns TO taskchat_system",
    "GRANT SELECT ON alembic_version TO taskchat_system",
)


def policies() -> Iterator[str]:
    for table, owner in OWNER_COLUMNS.items():
        yield f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
        yield f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY"
        yield (
            f"CREATE POLICY {table}_owner ON {table} TO taskchat_app"
            f" USING ({owner} = current_setting('taskchat.user_id', true))"
            f" WITH CHECK ({owner} = current_setting('taskchat.user_id', true))"
        )
    yield "CREATE POLICY turns_system_sees ON turns FOR SELECT TO taskchat_system USING (true)"
    yield (
        "CREATE POLICY turns_system_renews ON turns FOR UPDATE TO taskchat_system"
        " USING (true) WITH CHECK (true)"
    )


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("last_task", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("users_pkey")),
    )
    op.create_table(
        "conversations",
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=True),
        sa.Column("status", sa.String(length=16), server_default="active", nullable=False),
        sa.Column("last_turn", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "status IN ('active', 'paused', 'ended')", name=op.f("conversations_status_check")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("conversations_user_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "id", name=op.f("conversations_pkey")),
    )
    op.create_index(
        "conversations_user_id_updated_at_id_idx",
        "conversations",
        ["user_id", "updated_at", "id"],
        unique=False,
    )
    op.create_table(
        "tasks",
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("description", sa.String(length=2000), server_default="", nullable=False),
        sa.Column("completed", sa.BOOLEAN(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint("char_length(title) >= 1", name=op.f("tasks_title_not_empty_check")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("tasks_user_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "id", name=op.f("tasks_pkey")),
    )
    op.create_table(
        "turns",
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("deaths", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("owner", sa.Uuid(), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("idempotency_key", sa.String(length=255), nullable=True),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=True),
        sa.Column("model", sa.String(length=255), nullable=True),
        sa.Column("model_calls", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("input_tokens", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("output_tokens", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "channel IN ('rest', 'sse', 'websocket')", name=op.f("turns_channel_check")
        ),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'awaiting_feedback', 'completed', 'failed',"
            " 'cancelled')",
            name=op.f("turns_status_check"),
        ),
        sa.CheckConstraint("number >= 1", name=op.f("turns_number_check")),
        sa.ForeignKeyConstraint(
            ["user_id", "conversation_id"],
            ["conversations.user_id", "conversations.id"],
            name=op.f("turns_user_id_conversation_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "id", name=op.f("turns_pkey")),
        sa.UniqueConstraint(
            "user_id",
            "conversation_id",
            "number",
            name=op.f("turns_user_id_conversation_id_number_key"),
        ),
    )
    op.create_index(
        "turns_kept_key_idx",
        "turns",
        ["finished_at"],
        unique=False,
        postgresql_where=sa.text("idempotency_key IS NOT NULL"),
    )
    op.create_index(
        "turns_lease_expires_at_idx",
        "turns",
        ["lease_expires_at"],
        unique=False,
        postgresql_where=sa.text("status IN ('queued', 'running')"),
    )
    op.create_index(
        "turns_unfinished_idx",
        "turns",
        ["user_id", "conversation_id", "number"],
        unique=False,
        postgresql_where=sa.text("status IN ('queued', 'running', 'awaiting_feedback')"),
    )
    op.create_index(
        "turns_user_id_idempotency_key_key",
        "turns",
        ["user_id", "idempotency_key"],
        unique=True,
        postgresql_where=sa.text("idempotency_key IS NOT NULL"),
    )
    op.create_table(
        "messages",
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("turn_id", sa.Uuid(), nullable=False),
        sa.Column("turn_number", sa.Integer(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "(position = 0 AND role = 'user') OR (position = 1 AND role = 'assistant')",
            name=op.f("messages_role_check"),
        ),
        sa.ForeignKeyConstraint(
            ["user_id", "conversation_id"],
            ["conversations.user_id", "conversations.id"],
            name=op.f("messages_user_id_conversation_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id", "turn_id"],
            ["turns.user_id", "turns.id"],
            name=op.f("messages_user_id_turn_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "id", name=op.f("messages_pkey")),
        sa.UniqueConstraint(
            "user_id",
            "conversation_id",
            "turn_number",
            "position",
            name=op.f("messages_user_id_conversation_id_turn_number_position_key"),
        ),
        sa.UniqueConstraint(
            "user_id", "turn_id", "position", name=op.f("messages_user_id_turn_id_position_key")
        ),
    )
    op.create_table(
        "model_answers",
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("turn_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("model", sa.String(length=255), nullable=False),
        sa.Column("items", sa.JSON(), nullable=False),
        sa.Column("input_tokens", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("output_tokens", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["user_id", "turn_id"],
            ["turns.user_id", "turns.id"],
            name=op.f("model_answers_user_id_turn_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "turn_id", "number", name=op.f("model_answers_pkey")),
    )
    op.create_table(
        "tool_calls",
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("turn_id", sa.Uuid(), nullable=False),
        sa.Column("call_id", sa.String(length=255), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("tool_name", sa.String(length=128), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column(
            "executed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "status IN ('completed', 'failed', 'interrupted')", name=op.f("tool_calls_status_check")
        ),
        sa.ForeignKeyConstraint(
            ["user_id", "turn_id"],
            ["turns.user_id", "turns.id"],
            name=op.f("tool_calls_user_id_turn_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "id", name=op.f("tool_calls_pkey")),
        sa.UniqueConstraint(
            "user_id", "turn_id", "call_id", name=op.f("tool_calls_user_id_turn_id_call_id_key")
        ),
        sa.UniqueConstraint(
            "user_id", "turn_id", "position", name=op.f("tool_calls_user_id_turn_id_position_key")
        ),
    )
    for statement in ROLES, *policies(), *GRANTS:
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("tool_calls")
    op.drop_table("model_answers")
    op.drop_table("messages")
    op.drop_index(
        "turns_user_id_idempotency_key_key",
        table_name="turns",
        postgresql_where=sa.text("idempotency_key IS NOT NULL"),
    )
    op.drop_index(
        "turns_unfinished_idx",
        table_name="turns",
        postgresql_where=sa.text("status IN ('queued', 'running', 'awaiting_feedback')"),
    )
    op.drop_index(
        "turns_lease_expires_at_idx",
        table_name="turns",
        postgresql_where=sa.text("status IN ('queued', 'running')"),
    )
    op.drop_index(
        "turns_kept_key_idx",
        table_name="turns",
        postgresql_where=sa.text("idempotency_key IS NOT NULL"),
    )
    op.drop_table("turns")
    op.drop_table("tasks")
    op.drop_index("conversations_user_id_updated_at_id_idx", table_name="conversations")
    op.drop_table("conversations")
    op.drop_table("users")

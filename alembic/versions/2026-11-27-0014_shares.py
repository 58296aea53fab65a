"""Links by which anybody reads a conversation, and the role of those who come with one.

`taskchat_reader` sees a link by the hash of its token, and through it the messages of one
conversation in certain turns; tool calls only if the link says so. It sees nothing else.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import INT4MULTIRANGE

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# As the roles of 0001. Whoever may act as taskchat_app may act as this one, so that a login that
# serves already need not be granted it by hand.
ROLE = """
DO $$
DECLARE
    wanted CONSTANT text := 'taskchat_reader';
    login regrole;
BEGIN
    IF to_regrole(wanted) IS NULL THEN
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END IF;
    BEGIN
        EXECUTE format('GRANT %I TO CURRENT_USER', wanted);
    EXCEPTION WHEN insufficient_privilege THEN
        IF NOT pg_has_role(current_user, wanted, 'MEMBER') THEN
            RAISE EXCEPTION 'this login may not enter the role %', wanted
                USING HINT = format('As its administrator run GRANT %I TO this login.', wanted);
        END IF;
    END;
    FOR login IN
        SELECT DISTINCT serves.member::regrole FROM pg_auth_members AS serves
        WHERE serves.roleid = to_regrole('taskchat_app')
        AND NOT pg_has_role(serves.member, to_regrole(wanted), 'MEMBER')
    LOOP
        BEGIN
            EXECUTE format('GRANT %I TO %s', wanted, login);
        EXCEPTION WHEN insufficient_privilege OR unique_violation THEN
            -- Its administrator has to; `taskchat doctor` says so.
            NULL;
        END;
    END LOOP;
END
$$
"""

MINE = "user_id = current_setting('taskchat.user_id', true)"
POLICIES = (
    "ALTER TABLE shares ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE shares FORCE ROW LEVEL SECURITY",
    f"CREATE POLICY shares_owner ON shares TO taskchat_app USING ({MINE}) WITH CHECK ({MINE})",
    # Housekeeping deletes what has expired; what it may not see it can't delete or prolong.
    "CREATE POLICY shares_system ON shares TO taskchat_system"
    " USING (expires_at <= now()) WITH CHECK (expires_at <= now())",
    "CREATE POLICY shares_reader ON shares FOR SELECT TO taskchat_reader"
    " USING (token_hash = decode(current_setting('taskchat.share', true), 'hex')"
    " AND expires_at > now())",
    # In these, the policy above decides which link there is. They are no EXISTS: a planner may
    # answer one by reading all that the link shows, for every page of it.
    "CREATE POLICY messages_reader ON messages FOR SELECT TO taskchat_reader"
    " USING ((SELECT s.turns @> messages.turn_number FROM shares AS s"
    " WHERE s.user_id = messages.user_id AND s.conversation_id = messages.conversation_id))",
    "CREATE POLICY tool_calls_reader ON tool_calls FOR SELECT TO taskchat_reader"
    " USING ((SELECT s.with_tool_calls AND s.turns @> m.turn_number FROM messages AS m"
    " JOIN shares AS s ON s.user_id = m.user_id AND s.conversation_id = m.conversation_id"
    " WHERE m.user_id = tool_calls.user_id AND m.turn_id = tool_calls.turn_id"
    " AND m.position = 0))",
)
SHARES = "user_id, id, conversation_id, title, turns, with_tool_calls, created_at, expires_at"
GRANTS = (
    # Nobody has to read the hash of a token; who comes with one only compares it.
    f"GRANT SELECT ({SHARES}), INSERT, DELETE ON shares TO taskchat_app",
    # Locking needs the right to change something.
    "GRANT SELECT (user_id, id, expires_at), UPDATE (expires_at), DELETE ON shares"
    " TO taskchat_system",
    "GRANT SELECT (user_id, conversation_id, token_hash, title, turns, with_tool_calls,"
    " created_at, expires_at) ON shares TO taskchat_reader",
    "GRANT SELECT (user_id, conversation_id, turn_id, turn_number, position, role, content,"
    " interrupted, created_at) ON messages TO taskchat_reader",
    "GRANT SELECT (user_id, turn_id, position, tool_name, parameters, result, status, executed_at)"
    " ON tool_calls TO taskchat_reader",
)


def upgrade() -> None:
    op.create_table(
        "shares",
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=True),
        sa.Column("turns", INT4MULTIRANGE(), nullable=False),
        sa.Column("with_tool_calls", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("octet_length(token_hash) = 32", name=op.f("shares_token_hash_check")),
        sa.ForeignKeyConstraint(
            ["user_id", "conversation_id"],
            ["conversations.user_id", "conversations.id"],
            name=op.f("shares_user_id_conversation_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "id", name=op.f("shares_pkey")),
    )
    op.create_index(
        "shares_user_id_conversation_id_id_idx", "shares", ["user_id", "conversation_id", "id"]
    )
    op.create_index("shares_token_hash_idx", "shares", ["token_hash"])
    op.create_index("shares_expires_at_idx", "shares", ["expires_at"])
    for statement in ROLE, *POLICIES, *GRANTS:
        op.execute(statement)


def downgrade() -> None:
    for table in "tool_calls", "messages":
        op.execute(f"DROP POLICY {table}_reader ON {table}")
        # Of a table, this takes those of its columns, too.
        op.execute(f"REVOKE ALL ON {table} FROM taskchat_reader")
    op.drop_table("shares")

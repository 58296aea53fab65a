"""Built-in accounts: who signs in here, their sessions, and the keys that sign their tokens.

A role that nobody logs in as finds people who have not proved yet who they are. Where
accounts are off nobody enters it: a login which may not be granted it migrates all the same.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

ROLE = """
DO $$
DECLARE
    login regrole;
BEGIN
    -- Roles belong to the cluster: another database may have made it, or be making it now.
    IF to_regrole('taskchat_accounts') IS NULL THEN
        BEGIN
            CREATE ROLE taskchat_accounts NOLOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END IF;
    BEGIN
        GRANT taskchat_accounts TO CURRENT_USER;
    EXCEPTION WHEN insufficient_privilege THEN
        -- Only who serves accounts has to enter it; `serve` and `doctor` say so.
        NULL;
    END;
    -- Whoever serves already need not be granted it by hand.
    FOR login IN
        SELECT DISTINCT serves.member::regrole FROM pg_auth_members AS serves
        WHERE serves.roleid = to_regrole('taskchat_app')
        AND NOT pg_has_role(serves.member, 'taskchat_accounts', 'MEMBER')
    LOOP
        BEGIN
            EXECUTE format('GRANT taskchat_accounts TO %s', login);
        EXCEPTION WHEN insufficient_privilege OR unique_violation THEN
            NULL;
        END;
    END LOOP;
END
$$
"""

TABLES = ("signing_keys", "sign_in_buckets", "accounts", "account_sessions", "refresh_tokens")
OWNED = ("accounts", "account_sessions", "refresh_tokens")
OWNER = "user_id = current_setting('taskchat.user_id', true)"

STATEMENTS = (
    # Whoever seeks an account or a token names it, and sees that one row and no other.
    "CREATE POLICY accounts_sought ON accounts FOR SELECT TO taskchat_accounts"
    " USING (email = current_setting('taskchat.sought', true))",
    "CREATE POLICY refresh_tokens_sought ON refresh_tokens FOR SELECT TO taskchat_accounts"
    " USING (hash = decode(current_setting('taskchat.sought', true), 'hex'))",
    "CREATE POLICY sign_in_buckets_accounts ON sign_in_buckets TO taskchat_accounts USING (true)",
    "CREATE POLICY signing_keys_accounts ON signing_keys TO taskchat_accounts USING (true)",
    # Housekeeping deletes what is over, and can do nothing else.
    "CREATE POLICY account_sessions_system ON account_sessions TO taskchat_system USING (true)",
    "CREATE POLICY refresh_tokens_system ON refresh_tokens TO taskchat_system USING (true)",
    "CREATE POLICY sign_in_buckets_system ON sign_in_buckets TO taskchat_system USING (true)",
    "CREATE POLICY signing_keys_system ON signing_keys TO taskchat_system USING (true)",
    # A user's own role can set a hash of a password, and read none.
    "GRANT SELECT (user_id, email, created_at, password_changed_at), INSERT,"
    " UPDATE (password_hash, password_changed_at) ON accounts TO taskchat_app",
    "GRANT SELECT, INSERT, DELETE, UPDATE (used_at, expires_at) ON account_sessions"
    " TO taskchat_app",
    "GRANT SELECT, INSERT, UPDATE (spent_at) ON refresh_tokens TO taskchat_app",
    "GRANT SELECT (user_id, email, password_hash, password_changed_at) ON accounts"
    " TO taskchat_accounts",
    "GRANT SELECT (user_id, id, session_id, hash) ON refresh_tokens TO taskchat_accounts",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON sign_in_buckets TO taskchat_accounts",
    "GRANT SELECT, INSERT, DELETE ON signing_keys TO taskchat_accounts",
    "GRANT SELECT (user_id, id, expires_at), DELETE ON account_sessions, refresh_tokens"
    " TO taskchat_system",
    "GRANT SELECT (id, updated_at), UPDATE (updated_at), DELETE ON sign_in_buckets"
    " TO taskchat_system",
    "GRANT SELECT (id, signs_at), DELETE ON signing_keys TO taskchat_system",
)


def moment(name: str, *, nullable: bool = False, now: bool = False) -> sa.Column[object]:
    default = sa.text("now()") if now else None
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, server_default=default)


def owner() -> sa.Column[str]:
    return sa.Column("user_id", sa.String(length=255), nullable=False)


def upgrade() -> None:
    op.execute(ROLE)
    op.create_table(
        "signing_keys",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("private_key", sa.LargeBinary(), nullable=False),
        sa.Column("encrypted", sa.Boolean(), nullable=False),
        moment("created_at", now=True),
        moment("signs_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("signing_keys_pkey")),
    )
    op.create_table(
        "sign_in_buckets",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("level", sa.Double(), nullable=False),
        moment("updated_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("sign_in_buckets_pkey")),
    )
    op.create_index("sign_in_buckets_updated_at_idx", "sign_in_buckets", ["updated_at"])
    op.create_table(
        "accounts",
        owner(),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=False),
        moment("created_at", now=True),
        moment("password_changed_at", now=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("accounts_user_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("accounts_pkey")),
    )
    op.create_index("accounts_email_key", "accounts", ["email"], unique=True)
    op.create_table(
        "account_sessions",
        owner(),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "user_agent", sa.String(length=255), server_default=sa.text("''"), nullable=False
        ),
        moment("created_at", now=True),
        moment("used_at", now=True),
        moment("expires_at"),
        moment("ends_at"),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("account_sessions_user_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "id", name=op.f("account_sessions_pkey")),
    )
    op.create_index("account_sessions_expires_at_idx", "account_sessions", ["expires_at"])
    op.create_table(
        "refresh_tokens",
        owner(),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        moment("created_at", now=True),
        moment("expires_at"),
        moment("spent_at", nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id", "session_id"],
            ["account_sessions.user_id", "account_sessions.id"],
            name=op.f("refresh_tokens_user_id_session_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "id", name=op.f("refresh_tokens_pkey")),
    )
    op.create_index(
        "refresh_tokens_user_id_session_id_idx", "refresh_tokens", ["user_id", "session_id"]
    )
    op.create_index("refresh_tokens_hash_idx", "refresh_tokens", ["hash"])
    op.create_index("refresh_tokens_expires_at_idx", "refresh_tokens", ["expires_at"])
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    for table in OWNED:
        op.execute(
            f"CREATE POLICY {table}_owner ON {table} TO taskchat_app"
            f" USING ({OWNER}) WITH CHECK ({OWNER})"
        )
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)

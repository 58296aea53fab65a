"""Vectors of messages, for searching by meaning, and the queue of those that are to be made.

The extension `vector` is made if this login may; nothing here needs it, and it may come later.
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

SOURCES = Path(__file__).parents[1] / "functions"
FUNCTIONS = ("embedding_queue_1", "search_meaning_1")

# Not available, or not for this login; two databases of one cluster don't meet here.
EXTENSION = """
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS vector;
EXCEPTION WHEN OTHERS THEN
    NULL;
END
$$
"""

STATEMENTS = (
    "ALTER TABLE embedding_models ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE embedding_models FORCE ROW LEVEL SECURITY",
    # Whoever writes a message has to know for which models to queue it.
    "CREATE POLICY embedding_models_seen ON embedding_models FOR SELECT TO taskchat_app"
    " USING (true)",
    "CREATE POLICY embedding_models_system ON embedding_models TO taskchat_system USING (true)",
    "GRANT SELECT ON embedding_models TO taskchat_app",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON embedding_models TO taskchat_system",
    "ALTER TABLE message_embeddings ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE message_embeddings FORCE ROW LEVEL SECURITY",
    "CREATE POLICY message_embeddings_owner ON message_embeddings TO taskchat_app"
    " USING (user_id = current_setting('taskchat.user_id', true))"
    " WITH CHECK (user_id = current_setting('taskchat.user_id', true))",
    # Of anybody's, what is to be made and by whom; a vector tells of the text, and is not seen.
    "CREATE POLICY message_embeddings_system ON message_embeddings TO taskchat_system USING (true)",
    "GRANT SELECT, INSERT, UPDATE (embedding, made_at) ON message_embeddings TO taskchat_app",
    "GRANT SELECT (user_id, message_id, model, queued_at, attempts, claimed_until, made_at),"
    " UPDATE (attempts, claimed_until), DELETE ON message_embeddings TO taskchat_system",
)
TRIGGER = (
    "CREATE TRIGGER messages_embedding_queue AFTER INSERT ON messages"
    " REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION embedding_queue_1()"
)


def upgrade() -> None:
    op.execute(EXTENSION)
    op.create_table(
        "embedding_models",
        sa.Column("id", sa.String(255), nullable=False),
        sa.Column("wanted_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("embedding_models_pkey")),
    )
    op.create_table(
        "message_embeddings",
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("model", sa.String(255), nullable=False),
        sa.Column(
            "queued_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("attempts", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("embedding", ARRAY(sa.REAL()), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id", "message_id"],
            ["messages.user_id", "messages.id"],
            name=op.f("message_embeddings_user_id_message_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "user_id", "message_id", "model", name=op.f("message_embeddings_pkey")
        ),
    )
    op.create_index(
        "message_embeddings_queue_idx",
        "message_embeddings",
        ["model", "queued_at", "message_id"],
        postgresql_where=sa.text("made_at IS NULL AND attempts < 5"),
    )
    for statement in STATEMENTS:
        op.execute(statement)
    for name in FUNCTIONS:
        op.get_bind().exec_driver_sql((SOURCES / f"{name}.sql").read_text(encoding="utf-8"))
    op.execute(TRIGGER)


def downgrade() -> None:
    # The extension stays: somebody else may use it by now.
    op.execute("DROP TRIGGER messages_embedding_queue ON messages")
    for name in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION {name}")
    op.drop_table("message_embeddings")
    op.drop_table("embedding_models")

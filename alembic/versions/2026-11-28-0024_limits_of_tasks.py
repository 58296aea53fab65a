"""How many tasks a user may have, and how much of them a tool tells.

A release before this one names no limit and has none, beside one that does.
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

# An addition and a list are of no task: in the place of its number they say how much there may be.
REPLACED = (
    (
        "    WHEN 'add' THEN\n",
        "    WHEN 'add' THEN\n"
        "        IF _id IS NOT NULL THEN\n"
        "            -- One user's additions are counted one after another.\n"
        "            PERFORM FROM users WHERE id = _owner FOR NO KEY UPDATE;\n"
        "            IF _id <= (SELECT count(*) FROM (\n"
        "                SELECT FROM tasks WHERE user_id = _owner LIMIT _id) AS there)\n"
        "            THEN\n"
        "                RETURN NULL;\n"
        "            END IF;\n"
        "        END IF;\n",
    ),
    (
        "FILTER (WHERE t.place <= _listed_max)",
        "FILTER (WHERE t.place <= _listed_max AND (_id IS NULL OR t.characters <= _id))",
    ),
    (
        "row_number() OVER (ORDER BY id) AS place\n",
        "row_number() OVER (ORDER BY id) AS place,\n"
        "                    sum(length(title) + length(description)) OVER (ORDER BY id)"
        " AS characters\n",
    ),
)
"""What is replaced in task_effect_1, and by what."""

THE_FUNCTION = sa.text("SELECT pg_get_functiondef(CAST('task_effect_1' AS regproc))")


def upgrade() -> None:
    source = str(op.get_bind().scalar(THE_FUNCTION))
    for old, new in REPLACED:
        source = _replaced(source, old, new)
    op.get_bind().exec_driver_sql(source)


def downgrade() -> None:
    source = str(op.get_bind().scalar(THE_FUNCTION))
    for old, new in REPLACED:
        source = _replaced(source, new, old)
    op.get_bind().exec_driver_sql(source)


def _replaced(source: str, old: str, new: str) -> str:
    if source.count(old) != 1:
        raise RuntimeError(f"task_effect_1 does not have this once: {old.strip()}")
    return source.replace(old, new)

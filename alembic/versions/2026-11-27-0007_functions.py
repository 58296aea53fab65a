"""The steps of a turn as functions of the database: each is one round trip.

They are versioned by the number in their names: what a release calls stays as it is for as long as
that release may run beside the next one. A function that changes gets a new number, and its old
version is dropped by a migration of the release after.
"""

from pathlib import Path

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

SOURCES = Path(__file__).parents[1] / "functions"

FUNCTIONS = (
    "enter_1",
    "moment_1",
    "spend_1",
    "tell_followers_1",
    "wake_next_1",
    "usage_count_1",
    "user_know_1",
    "task_add_1",
    "task_change_1",
    "task_delete_1",
    "task_effect_1",
    "turn_history_1",
    "conversation_place_1",
    "events_since_1",
    "presence_join_1",
    "conversation_page_1",
    "conversation_fits_1",
    "turn_begin_1",
    "turn_call_1",
    "turn_settle_1",
    "events_append_1",
)


def upgrade() -> None:
    for name in FUNCTIONS:
        op.get_bind().exec_driver_sql((SOURCES / f"{name}.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    for name in reversed(FUNCTIONS):
        op.execute(f"DROP FUNCTION {name}")

"""Who is in the examples, and when: the ids and moments that all of them share."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

USER: Final = "demo"

CONVERSATION: Final = UUID("01a1fbec-3f49-7e0c-95ac-bd3dc7d51a70")
TURN: Final = UUID("01a1fbec-3f4b-7ef9-b5c5-f0c029670e1d")
CALL: Final = UUID("01a1fbec-3f93-77c7-bebe-172aa5c47004")
MESSAGE: Final = UUID("01a1fbec-3f4b-7a9c-af58-e38231d3b11c")
REPLY: Final = UUID("01a1fbec-3fbe-7540-b401-7b2bed84ae11")
VERSION_TURN: Final = UUID("01a1fbec-5a10-7b4e-8c77-0f5b2c1f9d21")
ASKING_TURN: Final = UUID("01a1fbf1-0a31-7c52-9d4e-6b1f0e2a7c93")
ASKING_CALL: Final = UUID("01a1fbf1-0a58-7d0e-8b22-3f9c5a71d604")
FEEDBACK: Final = UUID("01a1fbf1-0a5f-7711-a0c4-92e8d6b3f510")
SHARE: Final = UUID("01a1fbf4-77a2-7f08-b6d1-4c0e8b92a3d7")
SCHEDULE: Final = UUID("01a1fbf6-1c40-7a95-8e3d-0b7f62c5d918")
WEBHOOK: Final = UUID("01a1fbf8-52d3-7b60-9f17-e84a1c0d3b26")
DELIVERY: Final = UUID("01a1fbf8-9e04-7c1d-a2b5-7d6f38e90c41")
SESSION: Final = UUID("01a1fbe0-0d11-7e3a-b8c2-5a94f7d1e063")
REQUEST: Final = "01a1fbec-4019-7e77-a68e-585f96fcb8cf"

SAID: Final = "Add task: Buy groceries"
REPLIED: Final = "Added “Buy groceries”."

ADDRESS: Final = "ada@example.org"
PASSWORD: Final = "a sentence that is easily kept in mind"  # noqa: S105 - nobody's
REFRESH_TOKEN: Final = "taskchat-refresh-Zk3cJx0mZ5S6nI9xwI3ksB0Yt6x2mYF0mVq6mDqN6sU"  # noqa: S105 - nobody's
ACCESS_TOKEN: Final = "eyJhbGciOiJFZERTQSIsImtpZCI6InRhc2tjaGF0LTAxYTFmYmVjIn0…"  # noqa: S105 - no token
SECRET: Final = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD/0YQVWQ8S7k="  # noqa: S105 - of the docs
SHARE_TOKEN: Final = "Vd3k0Zt8cQwq1nFh5yJb7mXoTgR2aLpS9eUiKxNvC4E"  # noqa: S105 - nobody's

BEGAN: Final = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def after(**times: float) -> datetime:
    """A moment of the story, so long after it began; as for `timedelta`."""
    return BEGAN + timedelta(**times)

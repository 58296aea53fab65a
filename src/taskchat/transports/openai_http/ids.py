"""Ids as clients of OpenAI know them: ours, with a prefix that says of what.

A turn that asks its user goes on once they have answered. To these clients that is another
response, since one that is complete does not change: the parts of a turn are counted.
"""

import re
from dataclasses import dataclass
from typing import Final
from uuid import UUID

_RESPONSE: Final = re.compile(r"resp_([0-9a-f]{32})(?:_([1-9][0-9]{0,3}))?")
_CONVERSATION: Final = re.compile(r"conv_([0-9a-f]{32})")
_APPROVAL: Final = re.compile(r"mcpr_([0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class ResponseId:
    """A turn, or what it did after an answer of its user's.

    Attributes:
        turn_id: The turn.
        part: 1 up to the first thing that it asks, 2 up to the next one, and so on.
    """

    turn_id: UUID
    part: int = 1

    def __str__(self) -> str:
        text = f"resp_{self.turn_id.hex}"
        return text if self.part == 1 else f"{text}_{self.part}"


def response_id(text: str) -> ResponseId | None:
    """The response that a text names; None if it names none."""
    found = _RESPONSE.fullmatch(text)
    if found is None or found[2] == "1":
        return None
    return ResponseId(UUID(found[1]), int(found[2] or 1))


def conversation_text(conversation_id: UUID) -> str:
    """What a conversation is called."""
    return f"conv_{conversation_id.hex}"


def conversation_of(text: str) -> UUID | None:
    """The conversation that a text names in our own way; None if a client made it up."""
    found = _CONVERSATION.fullmatch(text)
    return UUID(found[1]) if found else None


def approval_text(call_id: UUID) -> str:
    """What the question is called whether a call may be made."""
    return f"mcpr_{call_id.hex}"


def call_of(text: str) -> UUID | None:
    """The call that such a question is about; None if the text names none."""
    found = _APPROVAL.fullmatch(text)
    return UUID(found[1]) if found else None

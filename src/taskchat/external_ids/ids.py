"""Ids made of texts that clients chose.

The same text is always the same id, so that nobody has to ask who was first.

The user is part of it: nobody can choose an id, or get one that another user's rows have.
"""

import hashlib
import json
import uuid
from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from taskchat.principal import Principal
from taskchat.texts import is_storable, is_visible

TEXT_CHARS_MAX: Final = 255
"""As for Idempotency-Key: room for any name, and for what hangs on it in an index."""


def _checked(value: str) -> str:
    if not is_storable(value):
        raise PydanticCustomError("text", "must not contain NUL or unpaired surrogates")
    if not is_visible(value):
        raise PydanticCustomError("text", "must say something")
    return value


ExternalId = Annotated[
    str,
    Field(strict=True, min_length=1, max_length=TEXT_CHARS_MAX),
    AfterValidator(_checked),
]
"""An id that a client chose: any text, taken as it is."""


@dataclass(frozen=True, slots=True)
class ChosenIds:
    """What a message's client calls its conversation, and the message itself.

    Attributes:
        protocol: Whose client it is: `ui`, `ag-ui`, `openai`. A text is another id in another one.
        conversation: The conversation; None if it was named by its own id, and so has to be there.
        message: The message; None if its client named none. Others may use the same name in other
            conversations.
    """

    protocol: str
    conversation: str | None = None
    message: str | None = None

    def conversation_id(self, principal: Principal) -> UUID | None:
        """The id of the conversation, whether it is there or not."""
        if self.conversation is None:
            return None
        return external_id(principal, self.protocol, self.conversation)

    def message_id(self, principal: Principal, conversation_id: UUID) -> UUID | None:
        """The id of the message in a conversation, whether it is there or not."""
        if self.message is None:
            return None
        return external_id(principal, self.protocol, self.message, within=conversation_id)


def external_id(
    principal: Principal, protocol: str, text: str, *, within: UUID | None = None
) -> UUID:
    """A UUID of version 8: 122 bits of a hash.

    Args:
        principal: Whose it will be.
        protocol: Whose client has chosen the text.
        text: What it chose.
        within: The conversation of a message.

    Source: RFC 9562, section 5.8.
    """
    origin = [principal.user_id, protocol, text, None if within is None else str(within)]
    digest = hashlib.sha256(json.dumps(origin).encode()).digest()
    value = int.from_bytes(digest[:16]) & ~(0xF << 76) | 0x8 << 76
    return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


def plain_id(text: str) -> UUID | None:
    """The UUID that a text is, written as we write them; None if it is none.

    A client may well send an id of ours back, or make UUIDs itself: only a look tells which.
    """
    try:
        id_ = uuid.UUID(text)
    except ValueError:
        return None
    return id_ if str(id_) == text else None

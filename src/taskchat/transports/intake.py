"""The rules for a message that comes in, whichever way it comes."""

from uuid import UUID

from taskchat.assistant.circumstances import Circumstances
from taskchat.errors import Detail, InvalidRequest
from taskchat.principal import Channel
from taskchat.settings import Settings
from taskchat.turns.begin import NewMessage


def new_message(
    content: str,
    channel: Channel,
    *,
    settings: Settings,
    conversation_id: UUID | None,
    idempotency_key: str | None,
    request_id: str,
    circumstances: Circumstances,
) -> NewMessage:
    """A message that may become a turn.

    Args:
        content: What the user says: trimmed, not empty, storable, as its schema has seen to.
        channel: The way it came in.
        settings: With the limits.
        conversation_id: The conversation to go on with; None starts one.
        idempotency_key: The caller's, where there is one.
        request_id: For the error, if it comes to one.
        circumstances: What is known of who says it.

    Raises:
        InvalidRequest: it is too long.
    """
    limit = settings.message_chars_max
    if len(content) > limit:
        problem = f"must have at most {limit} characters"
        raise InvalidRequest(f"The message {problem}.", details=[Detail("message", problem)])
    return NewMessage(
        content=content,
        conversation_id=conversation_id,
        channel=channel,
        idempotency_key=idempotency_key,
        request_id=request_id,
        circumstances=circumstances,
    )

"""The checks on an incoming message, whichever way it comes."""

from uuid import UUID

from taskchat.assistant.circumstances import Circumstances
from taskchat.errors import Detail, InvalidRequest
from taskchat.external_ids.ids import ChosenIds
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
    conversation_held: bool = False,
    shows_conversation: bool = False,
    version_of: UUID | None = None,
    chosen: ChosenIds | None = None,
) -> NewMessage:
    """A message that may become a turn.

    Args:
        content: What the user said: trimmed, not empty, storable, as its schema ensures.
        channel: The way it came in.
        settings: The settings, with the limits.
        conversation_id: The conversation to go on with; None starts one.
        idempotency_key: The caller's key, if there is one.
        request_id: The request's id, for the error if the turn fails.
        circumstances: What is known about the sender.
        conversation_held: Whether the sender is bound to the conversation, as a socket is.
        shows_conversation: Whether the answer is to show the conversation.
        version_of: The turn with the first version of the message, if this is another one.
        chosen: What its client calls the message and its conversation, if it chooses ids.

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
        conversation_held=conversation_held,
        shows_conversation=shows_conversation,
        version_of=version_of,
        chosen=chosen,
    )

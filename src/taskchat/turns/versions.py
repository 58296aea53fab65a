"""Another version of an earlier message: said once more, or in other words.

It is a turn like any other, except for what it follows: the turns that the first version followed.
So it makes a branch, which the conversation shows from then on. The other versions stay, with what
came after them and what they did.
"""

from dataclasses import dataclass
from uuid import UUID

from taskchat.errors import Detail, InvalidRequest, NotFound
from taskchat.postgres.database import Database
from taskchat.principal import Principal
from taskchat.turns import store


@dataclass(frozen=True, slots=True)
class Original:
    """The message that is to have another version.

    Attributes:
        conversation_id: Where it was said.
        content: What the user said.
        first_version: The turn in which it was said first.
    """

    conversation_id: UUID
    content: str
    first_version: UUID


async def find_original(
    database: Database, principal: Principal, message_id: UUID, *, is_edited: bool
) -> Original:
    """The message of that id, or what the reply of that id answered.

    Args:
        database: Where it is.
        principal: Who said it.
        message_id: The message, or the reply.
        is_edited: Whether it gets another wording, which a reply can't.

    Raises:
        NotFound: the principal has no such message.
        InvalidRequest: a reply is to be edited, or what was said while a turn ran.
    """
    async with database.transaction(principal) as connection:
        found = await store.versions.find_message(connection, principal, message_id)
    if found is None:
        raise NotFound(f"No message {message_id}. List the messages to see their ids.")
    if is_edited and found.role != "user":
        problem = "is the assistant's: edit what you said, or regenerate this reply"
        raise InvalidRequest(
            f"Message {message_id} {problem}.", details=[Detail("message_id", problem)]
        )
    if is_edited and found.position > 0:
        problem = "was said while a turn ran: edit the message that began the turn"
        raise InvalidRequest(
            f"Message {message_id} {problem}.", details=[Detail("message_id", problem)]
        )
    return Original(found.conversation_id, found.content, found.first_version)

"""The rules of conversations, the same for routes and sockets.

    active ⇄ paused ── both ──> ended

A message makes a paused one active, and nothing an ended one. There may be only so many, and where
active ones are capped, only so many of these: one more is refused, in whatever way it would begin
or become active.
"""

from uuid import UUID

from taskchat.conversations import repository
from taskchat.conversations.models import TITLE_CHARS_MAX
from taskchat.conversations.schemas import ConversationOut, ConversationStatus
from taskchat.errors import (
    ConversationEnded,
    Detail,
    InvalidRequest,
    NotFound,
    TooManyActive,
    TooManyConversations,
)
from taskchat.postgres.database import Connection
from taskchat.principal import Principal
from taskchat.texts import title_of


def no_conversation(conversation_id: UUID) -> NotFound:
    """The error for a conversation that the principal does not have."""
    return NotFound(
        f"No conversation {conversation_id}. List the conversations to see their ids.",
        conversation_id=conversation_id,
    )


async def start_conversation(
    connection: Connection,
    principal: Principal,
    conversation_id: UUID,
    *,
    active_max: int | None,
    conversations_max: int,
) -> None:
    """Start a conversation in which nothing has been said yet.

    Raises:
        TooManyConversations: the user has as many as they may.
        TooManyActive: the user has as many active ones as they may.
    """
    await repository.start_conversation(connection, principal, conversation_id)
    cap = await repository.exceeded(
        connection, principal, active_max=active_max, conversations_max=conversations_max
    )
    if cap == "full":
        raise TooManyConversations
    if cap == "crowded":
        raise TooManyActive(conversation_id=conversation_id)


async def change_conversation(
    connection: Connection,
    principal: Principal,
    conversation_id: UUID,
    *,
    title: str | None = None,
    status: ConversationStatus | None = None,
    archived: bool | None = None,
    branch: UUID | None = None,
    active_max: int | None,
    process: UUID,
) -> ConversationOut:
    """Change what is given of a conversation. What runs or waits in it is answered all the same.

    Args:
        connection: Of the transaction in which it is changed.
        principal: Its owner.
        conversation_id: The conversation.
        title: Its new title.
        status: Its new status.
        archived: Whether it is archived from now on.
        branch: A turn of the branch that it shows from now on.
        active_max: The most conversations of the user that may be active; None means any number.
        process: This process; if the conversation ends, all others are told.

    Raises:
        InvalidRequest: nothing is given, or the title breaks a rule.
        NotFound: the principal has no such conversation, or it has no such turn.
        ConversationEnded: it would go on after its end.
        TooManyActive: the user has as many active ones as they may.
    """
    if (title, status, archived, branch) == (None,) * 4:
        raise _invalid("change", "needs at least one of title, status, archived and branch")
    title = None if title is None else checked_title(title)
    before = await repository.hold_conversation(connection, principal, conversation_id)
    if before is None:
        raise no_conversation(conversation_id)
    if before == "ended" and status in ("active", "paused"):
        raise ConversationEnded(
            "This conversation has ended and stays so; start another.",
            conversation_id=conversation_id,
        )
    numbers = None
    if branch is not None:
        numbers = await find_branch(connection, principal, conversation_id, branch)
    # Or it would be paused again at the next look for idle ones.
    resumed = before == "paused" and status == "active"
    changed = await repository.change_conversation(
        connection,
        principal,
        conversation_id,
        title=title,
        status=status,
        archived=archived,
        branch=numbers,
        is_activity=resumed,
    )
    if resumed and active_max is not None:
        values = {"active_max": active_max, "conversations_max": None}
        if await repository.exceeded(connection, principal, **values):
            raise TooManyActive(conversation_id=conversation_id)
    if status == "ended":
        await repository.tell_end(connection, conversation_id, end="ended", process=process)
    return changed


async def find_branch(
    connection: Connection, principal: Principal, conversation_id: UUID, turn_id: UUID
) -> str:
    """The branch of a conversation that holds a turn, as `branch_with` has it.

    Raises:
        NotFound: the conversation has no such turn.
    """
    branch = await repository.branch_with(connection, principal, conversation_id, turn_id)
    if branch is None:
        raise NotFound(
            f"This conversation has no turn {turn_id}. List its turns to see their ids.",
            conversation_id=conversation_id,
        )
    return branch


def checked_title(title: str) -> str:
    """The title as it is kept: one line, trimmed.

    Raises:
        InvalidRequest: empty, too long, or not storable.
    """
    try:
        return title_of(title, chars_max=TITLE_CHARS_MAX)
    except ValueError as error:
        raise _invalid("title", str(error)) from None


def _invalid(field: str, problem: str) -> InvalidRequest:
    return InvalidRequest(f"The {field} {problem}.", details=[Detail(field, problem)])

"""How a turn ended, as it is stored and as it is repeated: the same bytes every time."""

from taskchat.conversations.messages import Place, messages_before
from taskchat.conversations.schemas import MessageOut
from taskchat.errors import (
    InternalError,
    ModelError,
    RunTimeout,
    ServiceError,
    TurnCancelled,
)
from taskchat.postgres.database import Database
from taskchat.postgres.line import Precedence
from taskchat.turns.schemas import (
    MESSAGES_SHOWN_MAX,
    ChatAnswer,
    ErrorBody,
    MessageScope,
)
from taskchat.turns.states import TurnRef, TurnState

STORED_FAILURES: dict[str, type[ServiceError]] = {
    error.code: error for error in (ModelError, RunTimeout, InternalError, TurnCancelled)
}
"""Errors that end a turn. All others leave it unfinished, or come before any turn began."""


def failure_body(error: ServiceError, turn: TurnRef, *, request_id: str) -> ErrorBody:
    """The error as it is stored with the turn."""
    return ErrorBody(
        error_code=error.code,
        error=error.message,
        conversation_id=turn.conversation_id,
        turn_id=turn.id,
        request_id=request_id,
        details=[],
    )


def stored_failure(result: str) -> ServiceError:
    """The error that a turn ended with, under the request id that it first had."""
    body = ErrorBody.model_validate_json(result)
    error = STORED_FAILURES[body.error_code](
        body.error, conversation_id=body.conversation_id, turn_id=body.turn_id
    )
    error.request_id = body.request_id
    return error


async def answer_of(database: Database, state: TurnState, scope: MessageScope) -> bytes:
    """The response body of a finished turn.

    Args:
        database: Where the conversation is stored.
        state: A turn that is over.
        scope: Whether to show the conversation or only this turn.

    Raises:
        ServiceError: the error that the turn ended with.
    """
    assert state.result is not None  # noqa: S101 - it is over
    if state.status != "completed":
        raise stored_failure(state.result)
    if scope == "turn" or state.turn.number == 1:
        # A first turn's two messages are the whole conversation.
        return state.result.encode()
    messages, has_more = await shown_messages(database, state.turn)
    answer = ChatAnswer.model_validate_json(state.result)
    return with_messages(answer, messages, has_more=has_more).model_dump_json().encode()


def with_messages(answer: ChatAnswer, messages: list[MessageOut], *, has_more: bool) -> ChatAnswer:
    """The same answer, showing these messages."""
    return answer.model_copy(update={"messages": messages, "has_more": has_more})


async def shown_messages(database: Database, turn: TurnRef) -> tuple[list[MessageOut], bool]:
    """The newest messages up to a turn's reply, and whether there are older ones.

    What precedes the end of a finished turn never changes, so that a replay shows the same.
    """
    behind: Place = (turn.number, 2)
    async with database.transaction(turn.principal, Precedence.ACCEPTED) as connection:
        rows = await messages_before(
            connection,
            turn.principal,
            turn.conversation_id,
            before=behind,
            limit=MESSAGES_SHOWN_MAX + 1,
        )
    messages = [message for _, message in rows]
    return messages[-MESSAGES_SHOWN_MAX:], len(messages) > MESSAGES_SHOWN_MAX

"""How a turn ended, as it is stored and as it is repeated: the same bytes every time."""

from pydantic_core import from_json, to_json

from taskchat.errors import (
    InternalError,
    InterruptedReply,
    ModelError,
    RunTimeout,
    ScriptError,
    ServiceError,
    TurnCancelled,
)
from taskchat.postgres.database import Database
from taskchat.postgres.line import Precedence
from taskchat.turns import store
from taskchat.turns.schemas import MESSAGES_SHOWN_MAX, ErrorBody, MessageScope
from taskchat.turns.states import Page, TurnRef, TurnState

STORED_FAILURES: dict[str, type[ServiceError]] = {
    error.code: error
    for error in (ModelError, ScriptError, RunTimeout, InternalError, TurnCancelled)
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
        details=[detail.shown() for detail in error.details],
    )


def stored_failure(result: str) -> ServiceError:
    """The error that a turn ended with, under the request id that it first had."""
    body = ErrorBody.model_validate_json(result)
    error = STORED_FAILURES[body.error_code](
        body.error,
        details=[InterruptedReply(**detail) for detail in body.details],
        conversation_id=body.conversation_id,
        turn_id=body.turn_id,
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
        # A first turn's messages are the whole conversation.
        return state.result.encode()
    page = state.page or await _page(database, state.turn)
    return _showing(state.result, page)


async def _page(database: Database, turn: TurnRef) -> Page:
    async with database.transaction(turn.principal, Precedence.ACCEPTED) as connection:
        return await store.settle.page_at(connection, turn, messages_max=MESSAGES_SHOWN_MAX)


def _showing(result: str, page: Page) -> bytes:
    """The answer's JSON with these messages, which are JSON already."""
    fields = from_json(result)
    fields["has_more"] = page.has_more
    shown = (
        b'"%s":%s'
        % (name.encode(), page.messages.encode() if name == "messages" else to_json(value))
        for name, value in fields.items()
    )
    return b"{%s}" % b",".join(shown)

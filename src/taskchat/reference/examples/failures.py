"""An error of every code, as it is answered."""

import json
from collections.abc import Iterator
from typing import Any, Final

from taskchat import errors
from taskchat.errors import Detail, InterruptedReply, ServiceError
from taskchat.http.problems import render
from taskchat.reference.examples.story import CONVERSATION, REPLY, REQUEST, TURN

OF_A_TURN: Final = frozenset(
    {
        errors.ConversationBusy,
        errors.TurnInProgress,
        errors.TurnCancelled,
        errors.TurnNotCancellable,
        errors.ModelError,
        errors.ScriptError,
        errors.RunTimeout,
    }
)
"""Those that name the turn whose message is stored."""

DETAILS: Final[dict[type[ServiceError], Detail]] = {
    errors.InvalidRequest: Detail("message", "string should have at least 1 character"),
    errors.FeedbackClosed: Detail("status", "is approved"),
    errors.TurnCancelled: InterruptedReply(
        "reply", "was interrupted", message_id=REPLY, content="Added “Buy "
    ),
}
"""What those that have details tell."""


def _kinds(error: type[ServiceError] = ServiceError) -> Iterator[type[ServiceError]]:
    yield error
    for narrower in error.__subclasses__():
        if narrower.__module__ == errors.__name__:
            yield from _kinds(narrower)


def kinds() -> dict[str, type[ServiceError]]:
    """The errors by their codes, the lowest status first.

    A narrower error may have its parent's code; then the parent's words stand for both.
    """
    found: dict[str, type[ServiceError]] = {}
    for kind in _kinds():
        found.setdefault(kind.code, kind)
    return dict(sorted(found.items(), key=lambda item: (item[1].status, item[0])))


def failures() -> dict[str, dict[str, Any]]:
    """The example of each error by its code, as OpenAPI has it among its components."""
    return {
        code: {"summary": code.replace("_", " ").capitalize(), "value": _body(kind)}
        for code, kind in kinds().items()
    }


def _body(kind: type[ServiceError]) -> dict[str, Any]:
    of_turn = kind in OF_A_TURN
    error = kind(
        details=[DETAILS[kind]] if kind in DETAILS else [],
        conversation_id=CONVERSATION if of_turn else None,
        turn_id=TURN if of_turn else None,
    )
    body: dict[str, Any] = json.loads(bytes(render(error, request_id=REQUEST).body))
    return body

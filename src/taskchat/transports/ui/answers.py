"""What a client of the AI SDK answers to what the agent asks: decisions on calls, or an output."""

from collections.abc import Mapping
from uuid import UUID

from pydantic import ValidationError

from taskchat.errors import Detail, InvalidRequest, NotFound
from taskchat.feedback import repository as feedback
from taskchat.feedback.repository import Request
from taskchat.feedback.schemas import FeedbackAnswer
from taskchat.principal import Channel, Principal
from taskchat.texts import uuid_of
from taskchat.transports.dependencies import LiveDeps
from taskchat.transports.ui.schemas import AnsweredMessage, AnsweredPart
from taskchat.turns import store
from taskchat.turns.feedback import answer_feedback
from taskchat.turns.states import TurnRef


async def answer(
    message: AnsweredMessage,
    conversation_id: UUID | None,
    *,
    principal: Principal,
    live: LiveDeps,
    request_id: str,
) -> tuple[TurnRef, int]:
    """Answer what a turn waits for.

    Args:
        message: The assistant's message, which has the id of its turn.
        conversation_id: Where it stands.
        principal: Who answers.
        live: What turns need.
        request_id: The request's id, for the error if the turn fails.

    Returns:
        The turn, and the number of the event by which its user was asked.

    Raises:
        NotFound: no turn of that id has asked something there.
        FeedbackClosed: somebody has answered, or it is too late.
        InvalidRequest: the answer does not fit what is asked.
        ShuttingDown: this process takes nothing up any more.
    """
    turn_id = uuid_of(message.id)
    asked, state = [], None
    if turn_id is not None:
        async with live.database.transaction(principal) as connection:
            state = await store.find.by_id(connection, principal, turn_id)
            asked = await feedback.of_turn(connection, principal, turn_id)
    if state is None or not asked or state.turn.conversation_id != conversation_id:
        raise NotFound("The message that was sent last asks nothing; send the user's.")
    request = asked[-1]
    parts = {part.tool_call_id: part for part in message.parts if part.tool_call_id is not None}
    await answer_feedback(
        request.id,
        _answered(request, parts),
        principal=principal,
        channel=Channel.SSE,
        deps=live.turns,
        request_id=request_id,
    )
    async with live.database.transaction(principal) as connection:
        place = await store.events.place_of(connection, state.turn, request.id)
    return state.turn, place


def _answered(request: Request, parts: Mapping[str, AnsweredPart]) -> FeedbackAnswer:
    told = [parts.get(str(call.id)) for call in request.calls]
    if request.kind == "question":
        output = told[0].output if told and told[0] else None
        # As the client has it, or as it comes back from us.
        text = output.get("answer") if isinstance(output, dict) else output
        return _checked({"answer": text})
    calls = {}
    for call, part in zip(request.calls, told, strict=True):
        approval = part.approval if part else None
        if approval is None or approval.approved is None:
            raise _unfit("leaves a call without a decision: approve or refuse each")
        calls[str(call.id)] = {
            "answer": "approve" if approval.approved else "reject",
            "comment": (approval.reason or "").strip() or None,
        }
    whole = {call["answer"] for call in calls.values()}
    return _checked({"answer": "approve" if "approve" in whole else "reject", "calls": calls})


def _checked(answered: Mapping[str, object]) -> FeedbackAnswer:
    try:
        return FeedbackAnswer.model_validate(answered)
    except ValidationError:
        raise _unfit("must answer what is asked, with text that can be kept") from None


def _unfit(problem: str) -> InvalidRequest:
    return InvalidRequest(f"The message {problem}.", details=[Detail("messages", problem)])

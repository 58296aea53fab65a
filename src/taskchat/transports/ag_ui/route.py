"""`POST /api/{user_id}/ag-ui`: a run for AG-UI clients: something said, an answer, or a look."""

from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import ValidationError

from taskchat.auth.dependencies import Authenticated, CurrentPrincipal
from taskchat.errors import Detail, FeedbackClosed, InvalidRequest, NotFound
from taskchat.external_ids.ids import ChosenIds
from taskchat.external_ids.repository import find_conversation
from taskchat.feedback import repository as feedback
from taskchat.feedback.repository import Request as Asked
from taskchat.feedback.schemas import FeedbackAnswer
from taskchat.http.requests import RequestId, body_schema, read_body
from taskchat.postgres.database import Connection, Database
from taskchat.principal import Channel, Principal
from taskchat.texts import uuid_of
from taskchat.transports.ag_ui.history import PROTOCOL
from taskchat.transports.ag_ui.run import Run
from taskchat.transports.ag_ui.schemas import RunAnswer, RunRequest, message_id_of, text_of
from taskchat.transports.answering import CurrentCircumstances, CurrentKey, take
from taskchat.transports.dependencies import CurrentLive, LiveDeps
from taskchat.transports.events import require_stream_accepted
from taskchat.transports.intake import new_message
from taskchat.transports.sse import stream_content
from taskchat.turns import store
from taskchat.turns.feedback import answer_feedback
from taskchat.turns.states import TurnRef
from taskchat.turns.turn import cancel_turn

router = APIRouter(prefix="/api/{user_id}", tags=["AG-UI"], dependencies=[Authenticated])

ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The run.",
        "content": stream_content("`data` is the JSON of an AG-UI event."),
    }
}


@router.post(
    "/ag-ui",
    responses=ANSWERS,
    response_class=Response,
    openapi_extra=body_schema(RunRequest),
    dependencies=[Depends(require_stream_accepted)],
)
async def run_agent(
    request: Request,
    principal: CurrentPrincipal,
    live: CurrentLive,
    circumstances: CurrentCircumstances,
    key: CurrentKey,
    request_id: RequestId,
) -> Response:
    """Say something, answer what the agent asks, or get the history and follow what is under way.

    Of `messages` only the last is read, if it is the user's. One that was taken before is not taken
    again: its turn is followed, or told as it was.
    """
    body = await read_body(RunRequest, request)
    found = await _conversation(live.database, principal, body.thread_id)
    turn: TurnRef | None = None
    is_new = False
    headers: dict[str, str] = {}
    for answer in body.resume or ():
        # Who says something else instead withdraws the question by that.
        if answer.status == "resolved" or body.said is None:
            turn = await _answer(
                answer, found, live=live, principal=principal, request_id=request_id
            )
    if body.said is not None:
        chosen = ChosenIds(
            PROTOCOL,
            body.thread_id if found is None else None,
            message_id_of(body.said),
        )
        message = new_message(
            text_of(body.said),
            Channel.SSE,
            settings=live.settings,
            conversation_id=found or chosen.conversation_id(principal),
            idempotency_key=key,
            request_id=request_id,
            circumstances=circumstances,
            chosen=chosen,
        )
        accepted, headers = await take(message, live=live, principal=principal)
        turn, is_new = accepted.turn, not accepted.replayed
        found = turn.conversation_id
    run = Run(
        live,
        principal,
        thread_id=body.thread_id,
        run_id=body.run_id,
        conversation_id=found,
        turn=turn,
        is_new=is_new,
        known=[one.id for one in body.messages if one.role == "reasoning"],
    )
    return run.answer(headers)


async def _conversation(database: Database, principal: Principal, thread_id: str) -> UUID | None:
    async with database.transaction(principal) as connection:
        return await find_conversation(connection, principal, PROTOCOL, thread_id)


async def _answer(
    answer: RunAnswer,
    conversation_id: UUID | None,
    *,
    live: LiveDeps,
    principal: Principal,
    request_id: str,
) -> TurnRef:
    """Answer what the agent asked; once more does nothing.

    Returns:
        The turn that asked.

    Raises:
        NotFound: it asks nothing of that id in this conversation.
        FeedbackClosed: it was answered otherwise, or it is too late.
        InvalidRequest: the answer does not fit.
    """
    async with live.database.transaction(principal) as connection:
        asked = await _asked(connection, principal, answer.interrupt_id)
        if asked is None or asked.conversation_id != conversation_id:
            raise NotFound("The agent asks nothing of that interruptId in this thread.")
        found = await store.events.find_turn(connection, principal, asked.turn_id)
    # What is asked goes with its turn.
    assert found is not None  # noqa: S101
    turn, _ = found
    if answer.status == "cancelled" and asked.status != "open":
        # It is too late to answer, and the client has to get past it.
        return turn
    if answer.status == "cancelled" and asked.kind == "question":
        await cancel_turn(turn.id, principal=principal, deps=live.turns, request_id=request_id)
        return turn
    given = _given(answer)
    try:
        await answer_feedback(
            asked.id,
            given,
            principal=principal,
            channel=Channel.SSE,
            deps=live.turns,
            request_id=request_id,
        )
    except FeedbackClosed:
        async with live.database.transaction(principal) as connection:
            asked = await _asked(connection, principal, answer.interrupt_id)
        # A client that lost the answer to its answer sends it once more.
        if asked is None or asked.answer != given.answer:
            raise
    return turn


async def _asked(connection: Connection, principal: Principal, interrupt_id: str) -> Asked | None:
    id_ = uuid_of(interrupt_id)
    return None if id_ is None else await feedback.find(connection, principal, id_)


def _given(answer: RunAnswer) -> FeedbackAnswer:
    payload = answer.payload
    if answer.status == "cancelled":
        payload = False
    if isinstance(payload, bool):
        payload = "approve" if payload else "reject"
    if isinstance(payload, str):
        payload = {"answer": payload}
    try:
        return FeedbackAnswer.model_validate(payload)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(["resume.payload", *(str(part) for part in problem["loc"])])
        message = problem["msg"][:1].lower() + problem["msg"][1:]
        raise InvalidRequest(details=[Detail(where, message)]) from None

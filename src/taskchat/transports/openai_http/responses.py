"""`/v1/responses`: turns as responses."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Request, Response

from taskchat.auth.dependencies import AuthenticatedByToken, TokenPrincipal
from taskchat.errors import ServiceError, TurnNotCancellable
from taskchat.feedback import repository as feedback
from taskchat.feedback.repository import Request as Asked
from taskchat.http.requests import RequestId, body_schema, read_body
from taskchat.principal import Channel, Principal
from taskchat.transports.dependencies import CurrentLive, LiveDeps
from taskchat.transports.openai_http.dialogue import (
    CurrentDialogue,
    Dialogue,
    Place,
    named_response,
    no_response,
)
from taskchat.transports.openai_http.ids import ResponseId, approval_text
from taskchat.transports.openai_http.narration import Narrator, Told
from taskchat.transports.openai_http.requests import (
    Input,
    ResponseRequest,
    check,
    read_input,
    refused,
)
from taskchat.transports.openai_http.shapes import (
    InputItem,
    InputItems,
    InputMessage,
    InputText,
    McpApprovalAnswer,
    ResponseResource,
)
from taskchat.transports.openai_http.telling import (
    STREAM,
    as_it_stands,
    narrator_of,
    once_over,
    sent,
    stream,
)
from taskchat.turns import store
from taskchat.turns.states import TurnRef
from taskchat.turns.turn import cancel_turn

router = APIRouter(prefix="/v1/responses", tags=["openai"], dependencies=[AuthenticatedByToken])

ITEMS_MAX: Final = 100
"""Input items in one answer, as OpenAI has it."""


@router.post(
    "",
    response_model=ResponseResource,
    openapi_extra=body_schema(ResponseRequest),
    responses=STREAM,
)
async def create_response(request: Request, dialogue: CurrentDialogue) -> Response:
    """Say something, and get what the assistant does as a response.

    With `stream` it is a stream of events, with `background` it is answered as soon as the message
    is stored.
    """
    body = await read_body(ResponseRequest, request)
    check(body)
    said = read_input(body.input, "input")
    place = await _place(dialogue, body, said)
    streams = bool(body.stream or body.background)
    spoken = await dialogue.say(said, place, Channel.SSE if streams else Channel.REST)
    if body.stream:
        narrator = await narrator_of(dialogue.live, spoken.turn, spoken.part)
        return _stream(dialogue.live, narrator, spoken.turn, -1, spoken.headers)
    if body.background:
        narrator = await as_it_stands(dialogue.live, spoken.turn, spoken.part)
    else:
        narrator = await once_over(dialogue, spoken)
    return _whole(narrator, spoken.headers)


async def _place(dialogue: Dialogue, body: ResponseRequest, said: Input) -> Place:
    if body.previous_response_id is not None:
        return await dialogue.after(body.previous_response_id)
    name = body.conversation_name
    if name is not None:
        return await dialogue.named(name)
    if said.has_history or said.decisions:
        raise refused(
            "conversation",
            "or “previous_response_id” must say where this goes on: the history is kept here, and "
            "not read from the input",
        )
    return Place()


def _whole(narrator: Narrator, headers: dict[str, str]) -> Response:
    assert narrator.response is not None  # noqa: S101 - its part has begun
    return Response(
        narrator.response.model_dump_json(), headers=headers, media_type="application/json"
    )


def _stream(
    live: LiveDeps, narrator: Narrator, turn: TurnRef, after: int, headers: dict[str, str]
) -> Response:
    number = after

    def encode(batch: Sequence[Told]) -> Iterator[bytes]:
        nonlocal number
        for told in batch:
            if told.sequence_number > after:
                number = told.sequence_number
                yield sent(told)

    def encode_error(error: ServiceError) -> bytes:
        fields = {"code": error.code, "message": error.message, "param": None}
        return sent(Told("error", number + 1, fields))

    return stream(live, narrator, turn, encode=encode, encode_error=encode_error, headers=headers)


async def _found(live: LiveDeps, principal: Principal, text: str) -> tuple[TurnRef, ResponseId]:
    """The turn of the principal's response of that id.

    Raises:
        NotFound: there is none.
    """
    named = named_response(text)
    async with live.database.transaction(principal) as connection:
        state = await store.find.by_id(connection, principal, named.turn_id)
    if state is None:
        raise no_response("response_id")
    return state.turn, named


@router.get("/{response_id}", response_model=ResponseResource, responses=STREAM)
async def read_response(
    principal: TokenPrincipal,
    live: CurrentLive,
    response_id: str,
    stream: Annotated[bool, Query(description="Whether to tell it as a stream of events.")] = False,
    starting_after: Annotated[
        int | None, Query(ge=0, le=10**9, description="The last event that the client has.")
    ] = None,
) -> Response:
    """How far a response is; or what happens in it, from its beginning or behind an event."""
    turn, named = await _found(live, principal, response_id)
    narrator = await as_it_stands(live, turn, named.part)
    if not stream:
        if starting_after is not None:
            raise refused("starting_after", "is for streams; add stream=true")
        return _whole(narrator, {})
    after = -1 if starting_after is None else starting_after
    return _stream(live, await narrator_of(live, turn, named.part), turn, after, {})


@router.post("/{response_id}/cancel")
async def cancel_response(
    principal: TokenPrincipal, live: CurrentLive, response_id: str, request_id: RequestId
) -> ResponseResource:
    """Stop a response. What was done stays; one that is cancelled already is answered again."""
    turn, named = await _found(live, principal, response_id)
    try:
        await cancel_turn(turn.id, principal=principal, deps=live.turns, request_id=request_id)
    except TurnNotCancellable:
        narrator = await as_it_stands(live, turn, named.part)
        if narrator.response is None or narrator.response.status != "cancelled":
            raise
    else:
        narrator = await as_it_stands(live, turn, named.part)
    assert narrator.response is not None  # noqa: S101 - its part has begun
    return narrator.response


@router.get("/{response_id}/input_items")
async def list_input_items(
    principal: TokenPrincipal,
    live: CurrentLive,
    response_id: str,
    order: Annotated[Literal["asc", "desc"], Query()] = "desc",
    limit: Annotated[int, Query(ge=1, le=ITEMS_MAX)] = 20,
    after: Annotated[str | None, Query(description="The last item that the client has.")] = None,
) -> InputItems:
    """What was said to a response: the message, what steered it, or what was answered."""
    turn, named = await _found(live, principal, response_id)
    items = await _items(live, turn, named.part)
    if order == "desc":
        items.reverse()
    if after is not None:
        places = [place for place, item in enumerate(items) if item.id == after]
        if not places:
            raise refused("after", "names no item of this list")
        items = items[places[0] + 1 :]
    page = items[:limit]
    return InputItems(
        data=page,
        first_id=page[0].id if page else None,
        last_id=page[-1].id if page else None,
        has_more=len(items) > limit,
    )


async def _items(live: LiveDeps, turn: TurnRef, part: int) -> list[InputItem]:
    async with live.database.transaction(turn.principal) as connection:
        said = await store.find.said(connection, turn.principal, turn.id)
        requests = await feedback.of_turn(connection, turn.principal, turn.id)
    if part == 1:
        return [
            InputMessage(id=f"msg_{row.id.hex}", content=[InputText(text=row.content)])
            for row in said
            if row.role == "user"
        ]
    if part > len(requests) + 1 or requests[part - 2].status == "open":
        raise no_response("response_id")
    return _answers(requests[part - 2])


def _answers(request: Asked) -> list[InputItem]:
    if request.kind == "question":
        if request.answer is None:
            return []
        said = [InputText(text=request.answer)]
        return [InputMessage(id=f"msg_{request.id.hex}", content=said)]
    return [
        McpApprovalAnswer(
            id=f"mcpa_{call.id.hex}",
            approval_request_id=approval_text(call.id),
            approve=decided.answer == "approve",
            reason=decided.comment,
        )
        for call in request.calls
        for decided in [request.decided.get(call.call_id)]
        if decided is not None
    ]

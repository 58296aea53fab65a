"""A turn of an export as it is kept here: over, under new ids, with the answer that it gave."""

import json
from uuid import UUID

from taskchat.conversations.schemas import MessageOut, ToolCallOut
from taskchat.errors import InternalError, InterruptedReply
from taskchat.moments import utc_now
from taskchat.portability.lines import AskedCallLine, AskedLine, Said, SteeredLine, TurnLine
from taskchat.portability.origins import derived_id
from taskchat.portability.store.bring import BroughtCall, BroughtMessage, BroughtTurn
from taskchat.principal import Principal
from taskchat.turns.models import UNFINISHED
from taskchat.turns.outcome import STORED_FAILURES
from taskchat.turns.schemas import ChatAnswer, ErrorBody, Usage


def brought(
    principal: Principal, origin: UUID, conversation_id: UUID, line: TurnLine
) -> BroughtTurn:
    """The turn of a line, for the principal's conversation of that origin.

    One that was unfinished has failed: nobody here runs it.
    """
    user_id, number = principal.user_id, line.number
    turn_id = derived_id(user_id, line.created_at, "turn", str(origin), number)
    messages = [
        BroughtMessage(
            derived_id(user_id, one.created_at, "message", str(origin), number, position),
            position,
            "assistant" if one is line.reply else "user",
            one.content,
            one.created_at,
            read_after_calls=one.read_after_calls if isinstance(one, SteeredLine) else None,
        )
        for position, one in _said(line)
    ]
    calls = [
        BroughtCall(
            derived_id(user_id, call.executed_at, "call", str(origin), number, position),
            call.call_id,
            call.tool_name,
            json.dumps(call.parameters),
            json.dumps(call.result),
            call.status,
            call.duration_ms,
            call.executed_at,
        )
        for position, call in enumerate(line.tool_calls)
    ]
    status = "failed" if line.status in UNFINISHED else line.status
    return BroughtTurn(
        id=turn_id,
        number=number,
        follows=line.follows,
        version_of=line.version_of,
        channel=line.channel,
        status=status,
        model=line.model,
        model_calls=line.usage.model_calls,
        input_tokens=line.usage.input_tokens,
        output_tokens=line.usage.output_tokens,
        result=_answer(line, turn_id, conversation_id, messages, calls)
        if status == "completed"
        else _failure(line, turn_id, conversation_id, messages),
        created_at=line.created_at,
        started_at=line.started_at,
        finished_at=line.finished_at or utc_now(),
        messages=messages,
        rating=line.rating,
        calls=calls,
        asked=_asked(user_id, origin, line, calls),
    )


def _asked(user_id: str, origin: UUID, line: TurnLine, made: list[BroughtCall]) -> list[AskedLine]:
    """What the agent asked in the turn. Whatever is open here can't be answered any more."""
    of_call = {call.call_id: call.id for call in made}

    def id_of(call: AskedCallLine, asked: AskedLine) -> UUID:
        others = derived_id(
            user_id, asked.asked_at, "asked", str(origin), line.number, call.call_id
        )
        return of_call.get(call.call_id, others)

    return [
        asked.model_copy(
            update={
                "id": derived_id(
                    user_id, asked.asked_at, "feedback", str(origin), line.number, place
                ),
                "calls": [
                    call.model_copy(update={"id": id_of(call, asked)}) for call in asked.calls
                ],
                "status": "withdrawn" if asked.status == "open" else asked.status,
                "closed_at": asked.closed_at or utc_now(),
            }
        )
        for place, asked in enumerate(line.feedback)
    ]


def _said(line: TurnLine) -> list[tuple[int, Said]]:
    """What was said in the turn, each with its position."""
    said: list[tuple[int, Said]] = [(0, line.message), *enumerate(line.steered, 2)]
    if line.reply is not None:
        said.append((said[-1][0] + 1, line.reply))
    return said


def _answer(
    line: TurnLine,
    turn_id: UUID,
    conversation_id: UUID,
    messages: list[BroughtMessage],
    calls: list[BroughtCall],
) -> str:
    assert line.reply is not None  # noqa: S101 - it is completed
    assert line.model is not None  # noqa: S101 - it is completed
    shown = [
        ToolCallOut(
            id=call.id,
            tool_name=call.tool_name,
            parameters=told.parameters,
            result=told.result,
            status=told.status,
            executed_at=call.executed_at,
        )
        for call, told in zip(calls, line.tool_calls, strict=True)
    ]
    reply = messages[-1]
    return ChatAnswer(
        conversation_id=conversation_id,
        turn_id=turn_id,
        response=line.reply.content,
        tool_calls=shown,
        messages=[
            MessageOut(
                id=said.id,
                turn_id=turn_id,
                role=said.role,
                content=said.content,
                created_at=said.created_at,
                tool_calls=shown if said is reply else [],
            )
            for said in messages
        ],
        has_more=line.number > 1 if line.follows is None else bool(line.follows),
        model=line.model,
        usage=Usage(**line.usage.model_dump()),
    ).model_dump_json()


def _failure(
    line: TurnLine, turn_id: UUID, conversation_id: UUID, messages: list[BroughtMessage]
) -> str:
    error = line.error
    known = error is not None and error.error_code in STORED_FAILURES
    return ErrorBody(
        error_code=error.error_code if error and known else InternalError.code,
        error=error.error if error else "This turn was unfinished when it was exported.",
        conversation_id=conversation_id,
        turn_id=turn_id,
        request_id=error.request_id if error else "",
        details=[
            InterruptedReply("reply", "was interrupted", reply.id, reply.content).shown()
            for reply in messages
            if reply.role == "assistant" and line.status == "cancelled"
        ],
    ).model_dump_json()

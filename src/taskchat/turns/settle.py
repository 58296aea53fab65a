"""The transaction after the run: the reply, what is answered, and the end of the turn.

Fenced like every write of a run: a process that lost the turn settles nothing.
"""

import functools

from sqlalchemy.ext.asyncio import AsyncConnection

from taskchat.conversations.schemas import MessageOut
from taskchat.db import Database
from taskchat.errors import ServiceError, TurnCancelled
from taskchat.moments import new_id, utc_now
from taskchat.turns import event_rows, repository
from taskchat.turns.event_log import EventLog
from taskchat.turns.events import AssistantReply, completed, failed
from taskchat.turns.ledger import TurnLedger, TurnLost
from taskchat.turns.outcome import failure_body
from taskchat.turns.schemas import ChatAnswer, Usage
from taskchat.turns.states import TurnRef, TurnState


async def settle_completed(
    database: Database, ledger: TurnLedger, said: MessageOut, reply: str
) -> TurnState:
    """Store the reply and end the turn.

    Raises:
        TurnLost: another process runs the turn now.
        DatabaseError: the outcome is unknown; the lease decides.
    """
    turn = ledger.held.turn
    calls = list(ledger.calls.values())
    message = MessageOut(
        id=new_id(), role="assistant", content=reply, created_at=utc_now(), tool_calls=calls
    )
    usage = _usage(ledger)
    answer = ChatAnswer(
        conversation_id=turn.conversation_id,
        turn_id=turn.id,
        response=reply,
        tool_calls=calls,
        messages=[said, message],
        has_more=turn.number > 1,
        model=ledger.answers[-1].model,
        usage=usage,
    )
    result = answer.model_dump_json()
    async with ledger.events.carried() as events:
        events.add(AssistantReply, message_id=message.id, content=reply)
        events.add_made(functools.partial(completed, result=result))
        async with database.transaction(turn.principal) as connection:
            await _settle(connection, ledger, "completed", result, answer.model, usage)
            await repository.insert_reply(
                connection,
                turn,
                message_id=message.id,
                content=reply,
                created_at=message.created_at,
            )
    return TurnState(turn, "completed", result, None)


async def settle_failed(
    database: Database, ledger: TurnLedger, error: ServiceError, *, request_id: str
) -> TurnState:
    """End the turn with an error; its message and its executed calls stay.

    Raises:
        TurnLost: another process runs the turn now.
        DatabaseError: the outcome is unknown; the lease decides.
    """
    turn = ledger.held.turn
    body = failure_body(error, turn, request_id=request_id)
    result = body.model_dump_json()
    model = ledger.answers[-1].model if ledger.answers else None
    ledger.events.end_stream(dropped=True)
    async with (
        ledger.events.carried() as events,
        database.transaction(turn.principal) as connection,
    ):
        if events.closed:
            # The run ended in the middle of a commit: only the log knows what it holds.
            last = await event_rows.last_event_held(connection, ledger.held)
            if last is None:
                raise TurnLost
            events.anew(*last)
        events.add_made(functools.partial(failed, body=body))
        await _settle(connection, ledger, "failed", result, model, _usage(ledger))
    return TurnState(turn, "failed", result, None)


async def _settle(
    connection: AsyncConnection,
    ledger: TurnLedger,
    status: str,
    result: str,
    model: str | None,
    usage: Usage,
) -> None:
    settled = await repository.settle(
        connection,
        ledger.held,
        status=status,
        result=result,
        model=model,
        **usage.model_dump(),
        events=ledger.events.pending(),
        process=ledger.events.process,
    )
    if not settled:
        raise TurnLost


async def cancel(log: EventLog, turn: TurnRef, *, request_id: str) -> bool:
    """End an unfinished turn, whoever runs it; False when it is over already.

    Raises:
        DatabaseError: the outcome is unknown; repeat the call.
    """
    body = failure_body(TurnCancelled(), turn, request_id=request_id)
    async with log.database.transaction(turn.principal) as connection:
        if not await repository.cancel(connection, turn, result=body.model_dump_json()):
            return False
        # Whoever ran it writes no more: its number can be read.
        seq, _ = await event_rows.last_event(connection, turn)
        last = failed(turn, seq + 1, utc_now(), body=body)
        await event_rows.conclude(connection, turn, last, process=log.process)
    log.publish(turn, [last])
    return True


def _usage(ledger: TurnLedger) -> Usage:
    return Usage(
        model_calls=len(ledger.answers),
        input_tokens=sum(answer.input_tokens for answer in ledger.answers),
        output_tokens=sum(answer.output_tokens for answer in ledger.answers),
    )

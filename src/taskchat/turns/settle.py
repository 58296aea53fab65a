"""The transaction after the run: the reply, what is answered, and the end of the turn.

Fenced like every write of a run: a process that lost the turn settles nothing.
"""

from taskchat.conversations.schemas import MessageOut
from taskchat.db import Database
from taskchat.errors import ServiceError, TurnCancelled
from taskchat.moments import new_id, utc_now
from taskchat.turns import repository
from taskchat.turns.ledger import TurnLedger, TurnLost
from taskchat.turns.outcome import failure_json
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
    async with database.transaction(turn.principal) as connection:
        settled = await repository.settle(
            connection,
            ledger.held,
            status="completed",
            result=result,
            model=answer.model,
            **usage.model_dump(),
        )
        if not settled:
            raise TurnLost
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
    result = failure_json(error, turn, request_id=request_id)
    async with database.transaction(turn.principal) as connection:
        settled = await repository.settle(
            connection,
            ledger.held,
            status="failed",
            result=result,
            model=ledger.answers[-1].model if ledger.answers else None,
            **_usage(ledger).model_dump(),
        )
        if not settled:
            raise TurnLost
    return TurnState(turn, "failed", result, None)


async def cancel(database: Database, turn: TurnRef, *, request_id: str) -> bool:
    """End an unfinished turn, whoever runs it; False when it is over already.

    Raises:
        DatabaseError: the outcome is unknown; repeat the call.
    """
    result = failure_json(TurnCancelled(), turn, request_id=request_id)
    async with database.transaction(turn.principal) as connection:
        return await repository.cancel(connection, turn, result=result)


def _usage(ledger: TurnLedger) -> Usage:
    return Usage(
        model_calls=len(ledger.answers),
        input_tokens=sum(answer.input_tokens for answer in ledger.answers),
        output_tokens=sum(answer.output_tokens for answer in ledger.answers),
    )

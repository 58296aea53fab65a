"""A turn as its user sees it: how far it is, and what it did."""

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

from taskchat.conversations.repository import find_conversation
from taskchat.conversations.service import no_conversation
from taskchat.errors import NotFound
from taskchat.feedback import repository as feedback
from taskchat.feedback.schemas import feedback_out
from taskchat.postgres.database import AnyRow, Database
from taskchat.principal import Principal
from taskchat.turns import store
from taskchat.turns.schemas import ErrorBody, ListedTurn, SteeredOut, TurnOut, TurnStatus, Usage
from taskchat.turns.states import TurnRef
from taskchat.usage.repository import calls_of
from taskchat.usage.schemas import ModelCallOut


async def list_turns(
    database: Database,
    principal: Principal,
    conversation_id: UUID,
    *,
    status: TurnStatus | None,
    after: int,
    limit: int,
) -> list[ListedTurn]:
    """Turns of a conversation of the principal's, in order.

    Args:
        database: Where they are.
        principal: The conversation's owner.
        conversation_id: The conversation.
        status: Only those of this status.
        after: The number of the turn that they follow.
        limit: The most to return.

    Raises:
        NotFound: the principal has no such conversation.
    """
    async with database.transaction(principal) as connection:
        if await find_conversation(connection, principal, conversation_id) is None:
            raise no_conversation(conversation_id)
        rows = await store.find.of_conversation(
            connection, principal, conversation_id, status=status, after=after, limit=limit
        )
    return [ListedTurn.model_construct(**row) for row in rows]


async def read_turn(database: Database, principal: Principal, turn_id: UUID) -> TurnOut:
    """One turn of the principal's.

    Raises:
        NotFound: the principal has no turn of that id.
    """
    async with database.transaction(principal) as connection:
        row = await store.find.whole(connection, principal, turn_id)
        if row is None:
            raise NotFound(f"No turn {turn_id}.")
        first, *others = await store.find.said(connection, principal, turn_id)
        calls = await store.record.recorded_calls(
            connection, TurnRef(principal, row.id, row.conversation_id, row.number)
        )
        made = await calls_of(connection, principal, row.id)
        requests = await feedback.of_turn(connection, principal, row.id)
    failed = row.status in ("failed", "cancelled")
    return TurnOut(
        id=row.id,
        conversation_id=row.conversation_id,
        number=row.number,
        channel=row.channel,
        status=row.status,
        version_of=row.first_version,
        message=first.content,
        steered=[
            SteeredOut(id=said.id, content=said.content, created_at=said.created_at)
            for said in others
            if said.role == "user"
        ],
        reply=next((said.content for said in others if said.role == "assistant"), None),
        tool_calls=[call for _, call in calls],
        feedback=[feedback_out(request) for request in requests],
        error=ErrorBody.model_validate_json(row.result) if failed else None,
        model=row.model,
        usage=Usage(
            model_calls=row.model_calls,
            input_tokens=row.input_tokens,
            output_tokens=row.output_tokens,
        ),
        model_calls=[ModelCallOut.model_validate(call, from_attributes=True) for call in made],
        cost=_cost(row, made),
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def _cost(turn: AnyRow, made: Sequence[AnyRow]) -> Decimal | None:
    costs = [call.cost for call in made if call.cost is not None]
    if turn.finished_at is None or len(costs) != turn.model_calls:
        return None
    return sum(costs, Decimal(0))

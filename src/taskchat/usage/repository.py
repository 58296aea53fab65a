"""SQL of what models used. What is used in a turn is written in the statement that ends it."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select, text

from taskchat.postgres.database import AnyRow, Connection
from taskchat.postgres.tables import table_of
from taskchat.principal import Principal
from taskchat.usage.models import ModelCall, UsageDay

_calls = table_of(ModelCall)
_days = table_of(UsageDay)


@dataclass(frozen=True, slots=True)
class Call:
    """One answer of a model, and what it used.

    Attributes:
        model: The model that answered.
        input_tokens: What it read, in tokens.
        cached_input_tokens: How much of that its vendor had cached.
        output_tokens: What it wrote.
        duration_ms: How long it took.
        cost: In US dollars; None if no price is known.
    """

    model: str
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    duration_ms: int
    cost: Decimal | None


_COUNT_APART = text(
    "SELECT usage_count_1(:owner, CAST(:day_models AS text[]), CAST(:day_turns AS bigint[]),"
    " CAST(:day_calls AS bigint[]), CAST(:day_inputs AS bigint[]), CAST(:day_cached AS bigint[]),"
    " CAST(:day_outputs AS bigint[]), CAST(:day_costs AS numeric[]),"
    " CAST(:day_unpriced AS bigint[]))"
)
_RECORD = text(
    "INSERT INTO model_calls (user_id, turn_id, number, model, input_tokens, cached_input_tokens,"
    " output_tokens, duration_ms, cost) SELECT :owner, :turn, c.number, c.model, c.input_tokens,"
    " c.cached_input_tokens, c.output_tokens, c.duration_ms, c.cost"
    " FROM unnest(CAST(:call_models AS text[]), CAST(:call_inputs AS int[]),"
    " CAST(:call_cached AS int[]), CAST(:call_outputs AS int[]), CAST(:call_durations AS int[]),"
    " CAST(:call_costs AS numeric[])) WITH ORDINALITY AS c(model, input_tokens,"
    " cached_input_tokens, output_tokens, duration_ms, cost, number)"
)


def usage_values(calls: Sequence[Call], counted_for: str | None) -> dict[str, Any]:
    """The parameters of functions that record usage.

    Args:
        calls: The calls of the turn, in order.
        counted_for: The model that the turn itself counts for; None if none was asked.
    """
    return {
        "call_models": [call.model for call in calls],
        "call_inputs": [call.input_tokens for call in calls],
        "call_cached": [call.cached_input_tokens for call in calls],
        "call_outputs": [call.output_tokens for call in calls],
        "call_durations": [call.duration_ms for call in calls],
        "call_costs": [call.cost for call in calls],
        **_counters(calls, counted_for),
    }


def _counters(calls: Sequence[Call], counted_for: str | None) -> dict[str, Any]:
    of_model: dict[str, list[Call]] = {} if counted_for is None else {counted_for: []}
    for call in calls:
        of_model.setdefault(call.model, []).append(call)
    used = of_model.values()
    return {
        "day_models": list(of_model),
        "day_turns": [int(model == counted_for) for model in of_model],
        "day_calls": [len(some) for some in used],
        "day_inputs": [sum(call.input_tokens for call in some) for some in used],
        "day_cached": [sum(call.cached_input_tokens for call in some) for some in used],
        "day_outputs": [sum(call.output_tokens for call in some) for some in used],
        "day_costs": [sum((call.cost or Decimal(0) for call in some), Decimal(0)) for some in used],
        "day_unpriced": [sum(call.cost is None for call in some) for some in used],
    }


async def record_usage(
    connection: Connection, principal: Principal, turn_id: UUID, calls: Sequence[Call]
) -> None:
    """Record the model calls of a turn that ended without its run, and count them."""
    values = {"owner": principal.user_id, **usage_values(calls, calls[-1].model)}
    await connection.execute(_RECORD, {"turn": turn_id, **values})
    await connection.execute(_COUNT_APART, values)


async def count_apart(connection: Connection, principal: Principal, calls: Sequence[Call]) -> None:
    """Count model calls that belong to no turn."""
    await connection.execute(
        _COUNT_APART, {"owner": principal.user_id, **_counters(calls, counted_for=None)}
    )


_CALLS = (
    select(_calls)
    .where(_calls.c.user_id == bindparam("owner"), _calls.c.turn_id == bindparam("turn"))
    .order_by(_calls.c.number)
)
_DAYS = (
    select(_days)
    .where(
        _days.c.user_id == bindparam("owner"),
        _days.c.day.between(bindparam("first"), bindparam("last")),
    )
    .order_by(_days.c.day.desc(), _days.c.model)
)


async def calls_of(connection: Connection, principal: Principal, turn_id: UUID) -> Sequence[AnyRow]:
    """The model calls of one of the principal's turns, in order."""
    rows = await connection.execute(_CALLS, {"owner": principal.user_id, "turn": turn_id})
    return rows.all()


async def days_between(
    connection: Connection, principal: Principal, first: datetime.date, last: datetime.date
) -> Sequence[AnyRow]:
    """The principal's usage from one day to another, newest day first, models by name."""
    rows = await connection.execute(
        _DAYS, {"owner": principal.user_id, "first": first, "last": last}
    )
    return rows.all()

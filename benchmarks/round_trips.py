"""The round trips to Postgres of one warm turn, statement by statement, on both sides."""

import argparse
import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.client import MESSAGE, Client
from benchmarks.scripted import GREETING
from benchmarks.stage import LEAN, OURS, SCRIPTED, staged
from benchmarks.wire import Trip, Wire, wired

SYSTEM_ROLE: Final = b"taskchat_system"
"""Work of no user's enters this role, or begins its connection with it."""

WARM_WITHIN: Final = 20
"""Turns after which every connection must have prepared every statement."""


@dataclass(frozen=True)
class TurnTrips:
    """What went to the database around one turn, transaction by transaction.

    Attributes:
        own: What the turn itself needed.
        meanwhile: The service's own work: heartbeat, event log, listening.
        answered_at: When the answer had come, by the monotonic clock.
    """

    own: list[Trip]
    meanwhile: list[Trip]
    answered_at: float

    def is_late(self, trip: Trip) -> bool:
        """Whether it was sent behind the answer, so that nobody waited for it."""
        return trip.at > self.answered_at


async def warm_turn(wire: Wire, say: Callable[[], Awaitable[object]]) -> TurnTrips:
    """The trips of the first turn for which nothing had to be prepared.

    Raises:
        RuntimeError: there is none.
    """
    for _ in range(WARM_WITHIN):
        await wire.quiet()
        seen = len(wire.trips)
        await say()
        answered_at = time.monotonic()
        await wire.quiet()
        trips = wire.trips[seen:]
        if not any(trip.sql.startswith("prepare: ") for trip in trips):
            return _apart(wire.trips, trips, answered_at)
    raise RuntimeError("statements are prepared again and again")


def _apart(all_trips: list[Trip], trips: list[Trip], answered_at: float) -> TurnTrips:
    transactions = {trip.transaction for trip in all_trips if SYSTEM_ROLE in trip.said}
    listeners = {trip.connection for trip in all_trips if trip.sql.startswith("LISTEN ")}
    own: list[Trip] = []
    meanwhile: list[Trip] = []
    began: dict[int, float] = {}
    for trip in sorted(trips, key=lambda trip: trip.at):
        began.setdefault(trip.transaction, trip.at)
        is_own = trip.transaction not in transactions and trip.connection not in listeners
        (own if is_own else meanwhile).append(trip)
    for some in (own, meanwhile):
        some.sort(key=lambda trip: began[trip.transaction])
    return TurnTrips(own, meanwhile, answered_at)


async def measure() -> dict[str, dict[str, TurnTrips]]:
    """The trips of each kind of turn, by side."""
    found: dict[str, dict[str, TurnTrips]] = {}
    with staged() as stage:
        for side in (LEAN, OURS):
            async with wired(await stage.database(side, f"bench_{side}")) as wire:
                server = await stage.serve(side, wire.url, SCRIPTED)
                client = await Client.connect(server.port, "user", stage.token("user"))
                with contextlib.closing(client):
                    found[side] = {
                        name: await warm_turn(wire, say) for name, say in await _turns(client)
                    }
    return found


async def _turns(client: Client) -> list[tuple[str, Callable[[], Awaitable[Any]]]]:
    conversation = (await client.say())["conversation_id"]

    def first(message: str, calls: int) -> Callable[[], Awaitable[Any]]:
        return lambda: client.say(message=message, tool_calls=calls)

    def later(message: str, calls: int) -> Callable[[], Awaitable[Any]]:
        return lambda: client.say(conversation, message=message, tool_calls=calls)

    return [
        ("first, one tool", first(MESSAGE, 1)),
        ("later, one tool", later(MESSAGE, 1)),
        ("first, plain", first(GREETING, 0)),
        ("later, plain", later(GREETING, 0)),
    ]


def report(found: dict[str, dict[str, TurnTrips]]) -> dict[str, Any]:
    """Every statement, whole, as JSON."""
    return {
        side: {
            name: {
                "own": [{"sql": trip.sql, "after_answer": turn.is_late(trip)} for trip in turn.own],
                "meanwhile": [trip.sql for trip in turn.meanwhile],
            }
            for name, turn in turns.items()
        }
        for side, turns in found.items()
    }


def table(found: dict[str, dict[str, TurnTrips]]) -> Iterator[str]:
    """The counts, then every trip."""
    yield "| turn | lean | taskchat | of these after the answer | meanwhile |"
    yield "| --- | --- | --- | --- | --- |"
    for name, lean in found[LEAN].items():
        ours = found[OURS][name]
        late = sum(map(ours.is_late, ours.own))
        counts = (len(lean.own), len(ours.own), late, len(ours.meanwhile))
        yield f"| {name} | {' | '.join(map(str, counts))} |"
    for side, turns in found.items():
        for name, turn in turns.items():
            yield f"\n{side}: {name}"
            for number, trip in enumerate(turn.own, start=1):
                late_mark = "after the answer: " if turn.is_late(trip) else ""
                yield f"{number:>4}  {late_mark}{_short(trip.sql)}"
            for trip in turn.meanwhile:
                yield f"   +  meanwhile: {_short(trip.sql)}"


def _short(sql: str) -> str:
    return sql if len(sql) <= 110 else f"{sql[:109]}…"


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-round-trips", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON: every statement, whole")
    options = parser.parse_args()
    found = asyncio.run(measure())
    if options.json:
        print(json.dumps(report(found), indent=2, ensure_ascii=False))
    else:
        print("\n".join(table(found)))


if __name__ == "__main__":
    main()

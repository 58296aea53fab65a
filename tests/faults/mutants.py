"""The service with one rule broken. A checker that does not catch each of them proves nothing."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from sqlalchemy import select, text


@dataclass(frozen=True)
class Mutant:
    """One broken rule.

    Attributes:
        breaks: What it no longer does.
        apply: Breaks it, in this process.
        faults: Weights of the faults under which it shows; none for a mutant that needs no fault.
        points: Crash points that processes are struck at.
        model_delay_s: How long the model thinks: longer, where two owners must meet in one turn.
        model_pace_s: How long it takes over a word of a stream, for the same reason.
    """

    breaks: str
    apply: Callable[[], None]
    faults: Mapping[str, float] = field(default_factory=dict)
    points: Sequence[str] = ()
    model_delay_s: float = 0.05
    model_pace_s: float = 0.02


def swap(owner: object, **replacements: object) -> None:
    """Put something else in the place of what a module or a class has."""
    for name, replacement in replacements.items():
        assert hasattr(owner, name), name
        setattr(owner, name, replacement)


def no_fence() -> None:
    from taskchat.turns import store

    async def always(*_args: Any) -> bool:
        return True

    swap(store.record, still_ours=always)


def two_transactions() -> None:
    from taskchat.tasks.tools import ToolFailure
    from taskchat.turns.ledger import TurnLedger

    async def perform(self: Any, call: Any, effect: Any, result_type: Any) -> Any:
        known = self.calls.get(call.call_id)
        if known is not None:
            if known.status != "completed":
                raise ToolFailure(str(known.result.get("error", "")))
            return result_type.model_validate(known.result)
        failure: ToolFailure | None = None
        try:
            async with self._database.transaction(call.principal) as connection:
                await self._fence(connection)
                try:
                    result = await effect(connection, call.principal)
                    shown = result.model_dump(mode="json")
                except ToolFailure as refused:
                    failure, shown = refused, {"error": str(refused)}
            # As wide as a busy machine can make it.
            await asyncio.sleep(0.05)
            async with self._database.transaction(call.principal) as connection:
                await self._fence(connection)
                status = "failed" if failure else "completed"
                recorded = await self._record(connection, call, shown, status, time.monotonic())
        except BaseException as error:
            self.broken = self.broken or (error if isinstance(error, Exception) else None)
            raise
        self._committed(call, recorded)
        if failure is not None:
            raise failure
        return result

    swap(TurnLedger, perform=perform)


def no_queue() -> None:
    from taskchat.turns import store

    async def nobody(*_args: Any) -> int:
        return 0

    swap(store.begin, count_waiting=nobody)


def no_key() -> None:
    from taskchat.turns import store

    insert = store.begin.insert_turn

    async def unknown(*_args: Any) -> None:
        return None

    async def without_key(*args: Any, **kwargs: Any) -> Any:
        return await insert(*args, **{**kwargs, "key": None, "fingerprint": None})

    swap(store.find, by_key=unknown)
    swap(store.begin, insert_turn=without_key)


def old_snapshot() -> None:
    from taskchat.conversations import repository as conversations
    from taskchat.conversations.past import past_turns
    from taskchat.turns import background, store

    read_before: ContextVar[Any] = ContextVar("read_before")
    next_number, claim = conversations.next_number, store.claim.claim

    async def numbered(connection: Any, principal: Any, conversation_id: Any) -> int | None:
        # What a statement would see that waits for the lock and reads the snapshot of its start.
        history = await past_turns(
            connection, principal, conversation_id, before=2**31 - 1, turns_max=1000
        )
        read_before.set(history)
        return await next_number(connection, principal, conversation_id)

    async def claimed(connection: Any, turn: Any, **kwargs: Any) -> Any:
        history = await past_turns(
            connection,
            turn.principal,
            turn.conversation_id,
            before=turn.number,
            turns_max=1000,
        )
        read_before.set(history)
        await asyncio.sleep(0.02)
        return await claim(connection, turn, **kwargs)

    async def stale(*_args: Any, **_kwargs: Any) -> Any:
        return read_before.get(())

    swap(conversations, next_number=numbered)
    swap(store.claim, claim=claimed)
    swap(background, past_turns=stale)


def no_owner() -> None:
    from taskchat.postgres import database as db
    from taskchat.tasks import repository

    async def everybodys(
        connection: Any, _principal: Any, *, status: Any, limit: int, after: int = 0
    ) -> Any:
        tasks = repository._tasks
        statement = select(*repository._columns).where(tasks.c.id > after).limit(limit)
        return [repository._task(row) for row in await connection.execute(statement)]

    # The login's own role, which is a superuser's: no policy binds it.
    swap(db, APP_ROLE="none")
    swap(repository, list_tasks=everybodys)


def new_ids() -> None:
    from dataclasses import replace

    from taskchat.moments import new_id
    from taskchat.turns.resume import RunInput

    add = RunInput.add

    def renamed(self: RunInput, *args: Any, **kwargs: Any) -> None:
        add(self, *args, **kwargs)
        self.pending = [replace(call, call_id=f"call_{new_id().hex}") for call in self.pending]

    swap(RunInput, add=renamed)


def unfenced_settle() -> None:
    from taskchat.turns import store

    fenced = str(store.settle._SETTLE)
    loose = fenced.replace(
        "t.attempt = :attempt AND t.status = 'running'", "CAST(:attempt AS int) IS NOT NULL"
    )
    assert loose != fenced
    swap(store.settle, _SETTLE=text(loose))


def no_record() -> None:
    from taskchat.turns import store

    async def nothing(*_args: Any) -> list[Any]:
        return []

    swap(store.record, recorded_answers=nothing, recorded_calls=nothing)


def unfenced_events() -> None:
    from taskchat.turns import store

    fenced = str(store.events._APPEND)
    loose = fenced.replace(
        "t.attempt = mine.attempt AND t.status = 'running'", "mine.attempt IS NOT NULL"
    )
    assert loose != fenced
    swap(store.events, _APPEND=text(loose))


def counts_anew() -> None:
    from taskchat.turns import resume, store

    async def none_yet(*_args: Any) -> tuple[int, str]:
        return 0, ""

    events = SimpleNamespace(**{**vars(store.events), "last_event": none_yet})
    swap(resume, store=SimpleNamespace(**{**vars(store), "events": events}))


def open_text() -> None:
    from taskchat.turns import resume

    swap(resume, STREAMING=frozenset())


def told_early() -> None:
    from taskchat.turns.event_log import EventWriter

    add_made = EventWriter.add_made

    def told(self: EventWriter, make: Any) -> None:
        add_made(self, make)
        self._log.publish(self.held.turn, self._pending[-1:])

    swap(EventWriter, add_made=told)


def frozen_is_dead() -> None:
    from taskchat.processes.repository import DEATHS
    from taskchat.turns import store

    judged = {**store.claim._JUDGED, "deaths": (*DEATHS, "silent")}
    swap(store.claim, _JUDGED=judged)


def hasty() -> None:
    from taskchat.turns import store

    for name in ("_CLAIM", "_ADOPT"):
        patient = str(getattr(store.claim, name))
        rash = patient.replace(" AND me.since < now() - make_interval(secs => :gone_s)", "")
        assert rash != patient
        swap(store.claim, **{name: text(rash)})


MUTANTS: dict[str, Mutant] = {
    "no_fence": Mutant(
        "a tool call asks whether its process still owns the turn",
        no_fence,
        {"freeze": 1, "freeze_point": 1},
        ("tool.in_transaction",),
    ),
    "two_transactions": Mutant(
        "a tool's effect and its record commit together", two_transactions, {"kill": 1}
    ),
    "no_queue": Mutant("a turn waits for those before it", no_queue),
    "no_key": Mutant("an Idempotency-Key is looked up", no_key),
    "old_snapshot": Mutant("a history is read after the lock is held", old_snapshot),
    "no_owner": Mutant("a statement sees one user's rows", no_owner),
    "new_ids": Mutant(
        "calls that were decided and did not run keep their ids",
        new_ids,
        {"kill": 1, "crash_point": 1},
        ("tool.committed",),
    ),
    "unfenced_settle": Mutant(
        "a turn is ended by the attempt that runs it",
        unfenced_settle,
        {"freeze": 1},
        model_delay_s=0.8,
    ),
    "no_record": Mutant(
        "a takeover begins with what is on record",
        no_record,
        {"kill": 1, "crash_point": 1},
        ("tool.committed",),
    ),
    "unfenced_events": Mutant(
        "events are written by the attempt that runs the turn",
        unfenced_events,
        {"freeze": 1, "freeze_point": 1},
        ("text.heard",),
        model_pace_s=0.1,
    ),
    "counts_anew": Mutant(
        "a takeover counts its events on from those that are there",
        counts_anew,
        {"kill": 1, "crash_point": 1},
        ("text.heard",),
    ),
    "open_text": Mutant(
        "a takeover drops the text that was open",
        open_text,
        {"kill": 1, "crash_point": 1},
        ("text.heard",),
        # So that there nearly always is an open text where a process dies.
        model_pace_s=0.1,
    ),
    "told_early": Mutant(
        "an event is told once it is committed",
        told_early,
        {"kill": 1, "crash_point": 1},
        ("events.in_transaction",),
    ),
    "frozen_is_dead": Mutant(
        "a process that froze is alive", frozen_is_dead, {"freeze": 1}, model_delay_s=0.8
    ),
    "hasty": Mutant(
        "who has just come back judges nobody",
        hasty,
        {"postgres_immediate": 1},
        model_delay_s=0.8,
    ),
}
"""By name."""

"""The log: what is told is committed, what waits is bounded, and a lost turn is told no more."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.conftest import RunningApp
from tests.factories import Person

from taskchat.errors import DatabaseError
from taskchat.moments import new_id
from taskchat.postgres.database import Database
from taskchat.principal import Channel
from taskchat.turns import event_log, store
from taskchat.turns.event_log import EventLog, EventWriter
from taskchat.turns.events import OpenAICall, StoredEvent
from taskchat.turns.states import Claim, TurnRef


@pytest.fixture
async def log(database: Database) -> AsyncIterator[EventLog]:
    log = EventLog(database, new_id(), interval_s=0.05)
    log.start()
    yield log
    await log.close()


async def running_turn(running: RunningApp, superuser: AsyncEngine) -> Claim:
    """A turn that runs, as far as the database knows, with its events forgotten."""
    person = Person()
    body = (await person.say(running.client, "hello")).json()
    turn = TurnRef(person.principal, _uuid(body["turn_id"]), _uuid(body["conversation_id"]), 1)
    async with superuser.begin() as connection:
        for statement in (
            # Nobody's, so that no app of another test takes it up.
            "UPDATE turns SET status = 'running', owner = NULL, finished_at = NULL"
            " WHERE user_id = :o",
            "DELETE FROM turn_events WHERE user_id = :o",
        ):
            await connection.execute(text(statement), {"o": person.user_id})
    return Claim(turn, attempt=1, deaths=0, channel=Channel.SSE)


def _uuid(value: str) -> Any:
    from uuid import UUID

    return UUID(value)


async def kept(superuser: AsyncEngine, held: Claim) -> list[tuple[int, str]]:
    async with superuser.connect() as connection:
        rows = await connection.execute(
            text("SELECT seq, type FROM turn_events WHERE turn_id = :t ORDER BY seq"),
            {"t": held.turn.id},
        )
        return [(row.seq, row.type) for row in rows]


class Heard:
    """What was published, and whether it was in the database by then."""

    def __init__(self, log: EventLog) -> None:
        self.events: list[StoredEvent] = []
        self._more = asyncio.Event()
        log.on_events(self._hear)

    def _hear(self, _turn: TurnRef, events: Sequence[StoredEvent]) -> None:
        self.events.extend(events)
        self._more.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(60):
            while len(self.events) < count:
                self._more.clear()
                await self._more.wait()


async def test_what_is_published_is_committed(
    log: EventLog, offline_app: RunningApp, superuser: AsyncEngine
) -> None:
    held, heard = await running_turn(offline_app, superuser), Heard(log)
    writer = EventWriter(log, held, last_seq=0)
    writer.tell(OpenAICall, model="a")
    writer.tell(OpenAICall, model="b")
    await heard.until(2)
    assert await kept(superuser, held) == [(1, "openai_call"), (2, "openai_call")]


async def test_text_is_gathered_and_keeps_its_place_among_other_events(
    log: EventLog, offline_app: RunningApp, superuser: AsyncEngine
) -> None:
    held, heard = await running_turn(offline_app, superuser), Heard(log)
    writer = EventWriter(log, held, last_seq=0)
    for word in ("", "a", "b\x00", "\ud83d", "\ude00"):
        writer.say(word)
    writer.tell(OpenAICall, model="x")
    writer.end_stream()
    writer.end_stream()
    await heard.until(5)
    assert [event.type for event in heard.events] == [
        "agent_status",
        "stream_start",
        "stream_chunk",
        "openai_call",
        "stream_end",
    ]
    assert '"delta":"ab�' in heard.events[2].data


async def test_what_is_thought_while_a_text_is_open_is_told_behind_it(
    log: EventLog, offline_app: RunningApp, superuser: AsyncEngine
) -> None:
    held, heard = await running_turn(offline_app, superuser), Heard(log)
    writer = EventWriter(log, held, last_seq=0)
    writer.think("first")
    for piece in ("a", "b"):
        writer.say(piece)
        writer.think(piece)
    writer.end_stream()
    await heard.until(6)
    assert [event.type for event in heard.events] == [
        "reasoning",
        "agent_status",
        "stream_start",
        "stream_chunk",
        "stream_end",
        "reasoning",
    ]
    assert '"delta":"first"' in heard.events[0].data
    assert '"delta":"ab"' in heard.events[-1].data


async def test_a_database_that_is_away_costs_a_moment_and_no_event(
    log: EventLog,
    offline_app: RunningApp,
    superuser: AsyncEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held, heard = await running_turn(offline_app, superuser), Heard(log)
    append, failures = store.events.append, iter([DatabaseError(), ZeroDivisionError()])
    monkeypatch.setattr(event_log, "RETRY_S", 0.01)

    async def sometimes(connection: Any, batches: Any, **options: Any) -> Any:
        written = await append(connection, batches, **options)
        if (failure := next(failures, None)) is not None:
            raise failure
        return written

    monkeypatch.setattr(store.events, "append", sometimes)
    writer = EventWriter(log, held, last_seq=0)
    writer.tell(OpenAICall, model="a")
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        while not heard.events:
            # Behind a crash, what is told next brings along what waits.
            await asyncio.sleep(0.02)
            writer.tell(OpenAICall, model="b")
    await heard.until(2)
    seqs = [event.seq for event in heard.events]
    assert seqs == list(range(1, len(seqs) + 1))


async def test_where_a_commit_was_in_doubt_nothing_is_written_twice(
    log: EventLog,
    offline_app: RunningApp,
    superuser: AsyncEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held, heard = await running_turn(offline_app, superuser), Heard(log)
    monkeypatch.setattr(event_log, "RETRY_S", 0.01)
    transaction, doubts = log.database.system_transaction, iter([True])

    import contextlib

    @contextlib.asynccontextmanager
    async def doubtful() -> Any:
        async with transaction() as connection:
            yield connection
        if next(doubts, False):
            raise DatabaseError()

    monkeypatch.setattr(log.database, "system_transaction", doubtful)
    writer = EventWriter(log, held, last_seq=0)
    writer.tell(OpenAICall, model="a")
    await heard.until(1)
    assert await kept(superuser, held) == [(1, "openai_call")]


async def test_a_turn_that_has_another_owner_is_told_no_more(
    log: EventLog, offline_app: RunningApp, superuser: AsyncEngine
) -> None:
    held, heard = await running_turn(offline_app, superuser), Heard(log)
    async with superuser.begin() as connection:
        await connection.execute(
            text("UPDATE turns SET attempt = 2 WHERE id = :t"), {"t": held.turn.id}
        )
    other = await running_turn(offline_app, superuser)
    writer = EventWriter(log, held, last_seq=0)
    writer.tell(OpenAICall, model="a")
    EventWriter(log, other, last_seq=0).tell(OpenAICall, model="b")
    await heard.until(1)
    assert heard.events[0].turn_id == other.turn.id
    assert await kept(superuser, held) == []
    writer.close()


async def test_a_commit_of_the_turns_own_carries_what_waits(
    log: EventLog, offline_app: RunningApp, superuser: AsyncEngine
) -> None:
    held, heard = await running_turn(offline_app, superuser), Heard(log)
    writer = EventWriter(log, held, last_seq=0)
    writer.say("a")
    async with writer.carried() as carrier:
        carrier.add(OpenAICall, model="x")
        assert [event.seq for event in carrier.pending()] == [1, 2, 3, 4]
        # The log leaves alone what is carried.
        await asyncio.sleep(0.1)
        assert heard.events == []
    assert len(heard.events) == 4


async def test_a_commit_that_fails_ends_what_the_attempt_has_to_tell(
    log: EventLog, offline_app: RunningApp, superuser: AsyncEngine
) -> None:
    held = await running_turn(offline_app, superuser)
    writer = EventWriter(log, held, last_seq=0)

    async def fail() -> None:
        async with writer.carried() as carrier:
            carrier.add(OpenAICall, model="y")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert writer.closed
    assert writer.pending() == []


async def test_a_takeover_goes_on_counting_and_drops_the_open_text(
    log: EventLog, offline_app: RunningApp, superuser: AsyncEngine
) -> None:
    held, heard = await running_turn(offline_app, superuser), Heard(log)
    EventWriter(log, held, last_seq=7, open_stream=True)
    await heard.until(1)
    assert (heard.events[0].seq, heard.events[0].type) == (8, "stream_end")
    assert '"dropped":true' in heard.events[0].data

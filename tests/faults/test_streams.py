"""Event streams over real processes that die: nothing is missed, nothing is told twice.

What a reader has heard by one process goes on at another behind its last id. The message is never
sent again: whoever takes the turn up sees it through, and tells it in the same log.
"""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncpg
import httpx
import pytest
from tests.faults.checker import Evidence, Stream, events_tell_the_turns
from tests.faults.cluster import all_rows
from tests.faults.model_server import Failure, Gate, ModelCall
from tests.faults.processes import Service
from tests.faults.proxy import Proxy
from tests.faults.stage import SHORT_TIMES, Stage
from tests.faults.waiting import until
from tests.live.served import EventSource, Told, following, posting

APPEND = "events_append_"
"""Only in the statement that writes what happens between a turn's own commits."""

PATIENCE_S = 15
"""For what takes a second on a machine with nothing else to do."""


@contextlib.asynccontextmanager
async def saying(
    stage: Stage, service: Service, id_: str, steps: str, **options: Any
) -> AsyncIterator[EventSource]:
    """Say something under its id as the key, and read what comes of it."""
    key = {"Idempotency-Key": id_}
    message = f"[{id_}] {steps}"
    async with posting(service.url, stage.person, message, headers=key, **options) as source:
        assert source.response.status_code == 200, await source.response.aread()
        yield source


async def heard_until_cut(source: EventSource) -> list[Told]:
    """What still comes until the connection breaks."""
    told = []
    try:
        while (event := await source.next()) is not None:
            told.append(event)
    except httpx.TransportError:
        return told
    raise AssertionError(f"the stream ended in order: {told}")


async def heard_elsewhere(
    stage: Stage, service: Service, turn_id: str, *, after: int | None = None
) -> list[Told]:
    """The rest of a turn, or all of it, as a process tells it."""
    async with following(service.url, stage.person, turn_id, after=after) as source:
        return await source.rest()


@contextlib.asynccontextmanager
async def locked(url: str, table: str) -> AsyncIterator[None]:
    """Let nobody else write to a table while the block lasts."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {table} IN SHARE MODE")
            yield
    finally:
        await connection.close(timeout=5)


def texts(told: Sequence[Told]) -> list[tuple[str, bool]]:
    """The texts that were streamed, and whether each was dropped."""
    found: list[tuple[str, bool]] = []
    text = ""
    for event in told:
        if event.type == "stream_start":
            text = ""
        elif event.type == "stream_chunk":
            text += event.fields["delta"]
        elif event.type == "stream_end":
            found.append((text, event.fields["dropped"]))
    return found


def times_told(told: Sequence[Told]) -> dict[str, list[int]]:
    """How often each tool call, and each of their results, was told."""
    return {
        type_: sorted(
            Counter(event.fields["tool_call_id"] for event in told if event.type == type_).values()
        )
        for type_ in ("tool_call", "tool_result")
    }


async def assert_told_as_stored(stage: Stage, *readings: Sequence[Told]) -> None:
    """All the user's turns are told as they were, and these readers heard it."""
    user = stage.person.user_id
    streams = [Stream(user, told[0].fields["turn_id"], told) for told in readings]
    assert all(stream.is_whole for stream in streams)
    evidence = Evidence(streams=streams, **await all_rows(stage.url, user))
    assert list(events_tell_the_turns(evidence)) == []


def callers(stage: Stage, id_: str) -> list[str]:
    """Who asked the model about a message, in order."""
    return [call.caller for call in stage.model.asked(id_)]


async def test_a_reader_of_a_process_that_dies_in_its_text_hears_exactly_the_rest_elsewhere(
    stage: Stage,
) -> None:
    id_ = stage.message_id()
    victim = await stage.victim()
    gate = Gate()
    stage.model.when_saying(id_, 2, gate)
    async with saying(stage, victim, id_, "add:2") as source:
        seen = await source.until("stream_chunk")
        victim.kill()
        seen += await heard_until_cut(source)
    turn_id = seen[0].fields["turn_id"]
    rest = await heard_elsewhere(stage, stage.steady, turn_id, after=seen[-1].id)
    stored = await stage.found(id_)
    assert (stored.turn["status"], stored.turn["attempt"]) == ("completed", 2)
    assert callers(stage, id_) == [victim.name, victim.name, "steady"]
    assert all(call.streamed for call in stage.model.asked(id_))
    whole = await heard_elsewhere(stage, stage.steady, turn_id)
    assert seen + rest == whole
    (open_text, dropped), (reply, kept) = texts(whole)
    assert (dropped, kept) == (True, False)
    assert reply == stored.said[1]
    assert reply.startswith(open_text)
    assert open_text != reply
    # What was heard of the first text is taken back before the second begins.
    changes = [event.type for event in rest if event.type.startswith("stream_")]
    assert changes.index("stream_end") < changes.index("stream_start")
    assert times_told(whole) == {"tool_call": [1, 1], "tool_result": [1, 1]}
    await assert_told_as_stored(stage, whole)
    gate.opened.set()


async def test_readers_elsewhere_hear_a_turn_once_and_in_order_whose_process_dies_after_a_tool(
    stage: Stage,
) -> None:
    id_ = stage.message_id()
    victim = await stage.victim("tool.committed")
    # One of the two takes the turn up, and the other hears of it from that one.
    other = await stage.victim()
    gate = Gate()
    stage.model.when(id_, 1, gate)
    async with contextlib.AsyncExitStack() as stack:
        source = await stack.enter_async_context(saying(stage, victim, id_, "add:2"))
        own = await source.until("agent_status")
        turn_id = own[0].fields["turn_id"]
        readers = [
            await stack.enter_async_context(following(service.url, stage.person, turn_id))
            for service in (stage.steady, other)
        ]
        begun = [await reader.until("agent_status") for reader in readers]
        assert begun == [own, own]
        gate.opened.set()
        own += await heard_until_cut(source)
        readings = [
            first + await reader.rest() for first, reader in zip(begun, readers, strict=True)
        ]
    assert await victim.exited() == -9
    stored = await stage.found(id_)
    assert (stored.turn["status"], stored.turn["attempt"]) == ("completed", 2)
    assert callers(stage, id_) in ([victim.name, "steady"], [victim.name, other.name])
    assert readings[0] == readings[1]
    assert readings[0][: len(own)] == own
    assert times_told(readings[0]) == {"tool_call": [1, 1], "tool_result": [1, 1]}
    assert texts(readings[0]) == [(stored.said[1], False)]
    await assert_told_as_stored(stage, *readings)


async def test_what_a_process_says_when_it_wakes_after_its_lease_nobody_hears(
    stage: Stage,
) -> None:
    id_ = stage.message_id()
    victim = await stage.victim()
    gate = Gate()
    stage.model.when_saying(id_, 1, gate)
    async with saying(stage, victim, id_, "think") as source:
        seen = await source.until("stream_chunk")
        turn_id = seen[0].fields["turn_id"]
        victim.freeze()
        # The rest of its text waits in its socket.
        gate.opened.set()
        elsewhere = await heard_elsewhere(stage, stage.steady, turn_id)
        victim.thaw()
        seen += await source.rest()
    stored = await stage.found(id_)
    assert (stored.turn["status"], stored.turn["attempt"]) == ("completed", 2)
    assert seen == elsewhere
    assert [dropped for _, dropped in texts(seen)] == [True, False]
    assert await heard_elsewhere(stage, victim, turn_id) == elsewhere
    await assert_told_as_stored(stage, elsewhere)


async def test_a_model_that_breaks_off_is_asked_again_and_its_text_is_dropped(
    stage: Stage,
) -> None:
    cut_text, cut_call, next_one = (stage.message_id() for _ in range(3))

    async def hang_up(_call: ModelCall) -> Failure:
        return Failure(0)

    stage.model.when_saying(cut_text, 2, hang_up)
    stage.model.when_saying(cut_call, 1, hang_up, words=2)
    async with saying(stage, stage.steady, cut_text, "add:1") as source:
        told = await source.rest()
    conversation = told[0].fields["conversation_id"]
    assert told[-1].type == "turn_completed"
    [(text, dropped), (reply, kept)] = texts(told)
    # What it said last may not have been written yet when it broke off.
    assert text == "" or text.startswith("Reply")
    assert (dropped, kept) == (True, False)
    assert times_told(told) == {"tool_call": [1], "tool_result": [1]}
    again = await stage.post(stage.steady, f"[{cut_text}] add:1", key=cut_text)
    assert (again.status_code, again.json()["response"]) == (200, reply)

    async with saying(
        stage, stage.steady, cut_call, "add:1", conversation_id=conversation
    ) as source:
        silent = await source.rest()
    # Nobody had heard a word of it, so that it could be asked for again.
    assert silent[-1].type == "turn_completed"
    assert times_told(silent) == {"tool_call": [1], "tool_result": [1]}
    assert len((await stage.found(cut_call)).calls) == 1

    async with saying(
        stage, stage.steady, next_one, "add:1", conversation_id=conversation
    ) as source:
        well = await source.rest()
    assert well[-1].type == "turn_completed"
    assert "3 messages and 2 replies seen" in well[-2].fields["content"]
    await assert_told_as_stored(stage, told, silent, well)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_turn_that_streams_while_the_database_restarts_ends_and_is_told_whole(
    stage: Stage, mode: str
) -> None:
    id_ = stage.message_id()
    saying_it = Gate()

    async def restart(_call: ModelCall) -> None:
        saying_it.reached.set()
        await saying_it.opened.wait()
        await asyncio.to_thread(stage.cluster.restart, "fast" if mode == "fast" else "immediate")

    stage.model.when_saying(id_, 2, restart)
    seen: list[Told] = []
    async with saying(stage, stage.steady, id_, "add:1") as source:
        seen += await source.until("stream_chunk")
        turn_id = seen[0].fields["turn_id"]
        saying_it.opened.set()
        with contextlib.suppress(httpx.TransportError):
            # Where the log could not be read, the stream ends with an error that has no id.
            seen += [event for event in await source.rest() if event.id]

    async def heard_to_its_end() -> bool:
        if not Stream("", "", seen).is_whole:
            with contextlib.suppress(httpx.TransportError):
                more = await heard_elsewhere(stage, stage.steady, turn_id, after=seen[-1].id)
                seen.extend(event for event in more if event.id)
        return Stream("", "", seen).is_whole

    await until(heard_to_its_end, within_s=2 * PATIENCE_S, what="the turn is told to its end")
    stored = await stage.found(id_)
    assert stored.turn["status"] == "completed"
    whole = await heard_elsewhere(stage, stage.steady, turn_id)
    assert seen == whole
    assert texts(whole)[-1] == (stored.said[1], False)
    assert times_told(whole) == {"tool_call": [1], "tool_result": [1]}
    await assert_told_as_stored(stage, whole)


@pytest.mark.parametrize("side", ["before", "after"])
async def test_events_whose_commit_has_an_unknown_outcome_are_told_once(
    stage: Stage, side: str
) -> None:
    id_ = stage.message_id()
    async with Proxy(stage.cluster.socket_path, stage.url) as proxy:
        victim = await stage.victim(DATABASE_URL=proxy.url)
        cut = proxy.cut(APPEND, "before" if side == "before" else "after")
        async with saying(stage, victim, id_, "add:1") as source:
            told = await source.rest()
        assert cut.is_set()
        assert [event.id for event in told] == list(range(1, len(told) + 1))
        assert [event.type for event in told].count("openai_call") == 2
        await assert_told_as_stored(stage, told)
        await stage.close()


async def test_a_run_whose_time_is_up_inside_a_tool_call_is_told_without_a_gap(
    stage: Stage,
) -> None:
    id_ = stage.message_id()
    times = {
        "TASKCHAT_MODEL_TIMEOUT_S": "3",
        "TASKCHAT_QUEUE_TIMEOUT_S": "3",
        "TASKCHAT_RUN_TIMEOUT_S": "3.2",
        "TASKCHAT_DRAIN_TIMEOUT_S": "3.5",
    }
    victim = await stage.victim(**SHORT_TIMES | times)

    async def dawdle(_call: ModelCall) -> None:
        # Behind it the run has less time left than a statement may take.
        await asyncio.sleep(2.5)

    stage.model.when(id_, 1, dawdle)
    async with saying(stage, victim, id_, "add:1") as source:
        told = await source.until("openai_call")
        async with locked(stage.url, "tasks"):
            stored = await stage.ended(id_)
        assert stored.turn["status"] == "failed"
        await assert_told_as_stored(stage)
        told += await source.rest()
    assert told[-1].fields["error_code"] == "timeout"
    await assert_told_as_stored(stage, told)


async def test_a_stream_that_a_drain_does_not_wait_for_ends_and_goes_on_elsewhere(
    stage: Stage,
) -> None:
    first, second = stage.message_id(), stage.message_id()
    # By its lease alone nobody could take a turn within a minute.
    times = {
        "TASKCHAT_LEASE_S": "60",
        "TASKCHAT_MODEL_TIMEOUT_S": "5",
        "TASKCHAT_QUEUE_TIMEOUT_S": "5",
        "TASKCHAT_RUN_TIMEOUT_S": "5.2",
        "TASKCHAT_DRAIN_TIMEOUT_S": "5.5",
    }
    victim = await stage.victim(**SHORT_TIMES | times)
    begun, held = Gate(), Gate()

    async def begin_late(call: ModelCall) -> None:
        await begun(call)
        await asyncio.sleep(2)

    stage.model.when(first, 1, begin_late)
    stage.model.when_saying(second, 2, held)
    running = stage.posting(victim, f"[{first}] think", key=first)
    await asyncio.wait_for(begun.reached.wait(), PATIENCE_S)
    conversation = str((await stage.found(first)).turn["conversation_id"])
    async with saying(stage, victim, second, "add:1", conversation_id=conversation) as source:
        seen = await source.until("agent_status")
        assert seen[-1].fields["status"] == "queued"
        victim.terminate()
        # The first takes 2 of the drain's 5.5 seconds; a model may take 5 for the second.
        begun.opened.set()
        seen += await source.until("stream_chunk")
        assert not victim.exit_code
        # It ends as a stream ends, and not as a connection that breaks.
        seen += await source.rest()
    assert (await running).status_code == 200
    assert await victim.exited() == 0
    assert not Stream("", "", seen).is_whole
    turn_id = seen[0].fields["turn_id"]
    rest = await heard_elsewhere(stage, stage.steady, turn_id, after=seen[-1].id)
    whole = await heard_elsewhere(stage, stage.steady, turn_id)
    assert seen + rest == whole
    stored = await stage.found(second)
    assert (stored.turn["status"], stored.turn["attempt"]) == ("completed", 2)
    assert stored.turn["deaths"] == 0
    assert callers(stage, second) == [victim.name, victim.name, "steady"]
    assert [dropped for _, dropped in texts(whole)] == [True, False]
    assert times_told(whole) == {"tool_call": [1], "tool_result": [1]}
    assert json.loads(stored.turn["result"]) == whole[-1].fields["result"]
    await assert_told_as_stored(stage, whole)
    held.opened.set()

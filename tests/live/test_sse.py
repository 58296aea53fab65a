"""Event streams: everything once, in order, the same bytes on every process, to the end."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.answers import error_of
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person, calls_tool, says, scripted
from tests.house import do_chores
from tests.live.served import (
    PATIENCE_S,
    EventSource,
    Speaker,
    Told,
    following,
    posting,
    served,
)
from tests.turns.test_order import echoing
from tests.turns.test_takeover import expire, hangs_after, sweep

from taskchat.assistant.models.asking import NamedModel
from taskchat.live import feed
from taskchat.live.reader import read_after
from taskchat.turns import store

EVENTS = {"Accept": "text/event-stream"}


@pytest.fixture
async def url(offline_app: RunningApp) -> AsyncIterator[str]:
    async with served(offline_app) as address:
        yield address


def gapless(events: list[Told], *, after: int = 0) -> bool:
    return [event.id for event in events] == list(range(after + 1, after + 1 + len(events)))


async def test_a_message_is_answered_by_its_events(url: str) -> None:
    person = Person()
    async with posting(url, person, "Add task: Buy milk") as source:
        events = await source.rest()
        head = source.response
    assert head.status_code == 200
    assert head.headers["content-type"].startswith("text/event-stream")
    assert "no-cache" in head.headers["cache-control"]
    assert head.headers["x-accel-buffering"] == "no"
    assert head.headers["x-request-id"]
    assert gapless(events)
    assert [event.type for event in events[:2]] == ["turn_started", "agent_status"]
    assert [event.type for event in events[-2:]] == ["assistant", "turn_completed"]
    assert all(event.fields["seq"] == event.id for event in events)
    chunks = [event.fields["delta"] for event in events if event.type == "stream_chunk"]
    reply = events[-2].fields["content"]
    assert "".join(chunks) == reply == events[-1].fields["result"]["response"]


async def test_the_same_key_replays_each_form(url: str) -> None:
    person = Person()
    key = {"Idempotency-Key": "k"}
    async with posting(url, person, "Add task: Once", headers=key) as source:
        first = await source.rest()
    async with posting(url, person, "Add task: Once", headers=key) as source:
        assert source.response.headers["idempotent-replayed"] == "true"
        assert await source.rest() == first
    async with httpx.AsyncClient(base_url=url) as client:
        answer = await person.say(client, "Add task: Once", key="k", params={"messages": "turn"})
    assert answer.json() == first[-1].fields["result"]
    assert f'"result":{answer.text}' in first[-1].data


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"message": ""}, 400, "invalid_request"),
        (
            {"message": "hello", "conversation_id": "0199f3a0-0000-7000-8000-000000000000"},
            404,
            "not_found",
        ),
    ],
)
async def test_what_goes_wrong_before_the_first_event_is_an_ordinary_error(
    client: httpx.AsyncClient, body: dict[str, str], status: int, code: str
) -> None:
    person = Person()
    answer = await client.post(person.chat_path, json=body, headers=person.headers | EVENTS)
    assert error_of(answer, status)["error_code"] == code
    assert answer.headers["content-type"] == "application/json"


async def test_a_stream_without_a_token_is_refused(client: httpx.AsyncClient) -> None:
    person = Person()
    answer = await client.post(person.chat_path, json={"message": "hello"}, headers=EVENTS)
    assert error_of(answer, 401)["error_code"] == "invalid_auth"


@pytest.mark.parametrize(
    ("accept", "streams"),
    [
        ("text/event-stream", True),
        ("text/event-stream, application/json", False),
        ("text/event-stream;q=0.5, application/json", False),
        ("text/event-stream, application/json;q=0.5", True),
        ("*/*", False),
        ("text/*", True),
    ],
)
async def test_json_wins_where_both_are_wanted_alike(
    client: httpx.AsyncClient, accept: str, streams: bool
) -> None:
    person = Person()
    answer = await client.post(
        person.chat_path, json={"message": "hello"}, headers=person.headers | {"Accept": accept}
    )
    assert answer.headers["content-type"].startswith("text/event-stream") is streams


async def test_a_cut_stream_goes_on_elsewhere_with_exactly_what_is_missing(
    running_app: AppMaker,
) -> None:
    person, speaker = Person(), Speaker("One, ", "two, ", "three.")
    async with (
        running_app(chain=speaker.chain) as one,
        running_app() as two,
        served(one) as first,
        served(two) as second,
    ):
        speaker.let(1)
        async with posting(first, person, "count") as source:
            seen = await source.until("stream_chunk")
        turn_id = seen[0].fields["turn_id"]
        async with following(second, person, turn_id, after=seen[-1].id) as source:
            speaker.let()
            rest = await source.rest()
        async with following(second, person, turn_id) as source:
            whole = await source.rest()
        async with following(first, person, turn_id) as source:
            assert await source.rest() == whole
    assert seen + rest == whole
    assert gapless(whole)
    deltas = [event.fields["delta"] for event in whole if event.type == "stream_chunk"]
    assert "".join(deltas) == whole[-2].fields["content"] == "One, two, three."


async def test_streamed_text_is_written_in_pieces_and_not_by_the_word(
    running_app: AppMaker,
) -> None:
    words = [f"word{number} " for number in range(200)]
    person, speaker = Person(), Speaker(*words)
    async with running_app(chain=speaker.chain, event_interval_s=0.2) as running:
        async with served(running) as url, posting(url, person, "talk") as source:
            speaker.let()
            events = await source.rest()
    deltas = [event.fields["delta"] for event in events if event.type == "stream_chunk"]
    assert "".join(deltas).strip() == events[-2].fields["content"]
    assert len(deltas) < 20


async def test_a_waiting_turn_says_so_and_streams_when_its_time_has_come(
    running_app: AppMaker,
) -> None:
    person, speaker = Person(), Speaker("Yes.")
    async with running_app(chain=speaker.chain) as running, served(running) as url:
        async with posting(url, person, "first") as source:
            started = await source.until("agent_status")
            conversation = started[0].fields["conversation_id"]
            async with posting(url, person, "second", conversation_id=conversation) as behind:
                waiting = await behind.until("agent_status")
                assert waiting[-1].fields["status"] == "queued"
                speaker.let()
                assert (await source.rest())[-1].type == "turn_completed"
                speaker.let()
                events = waiting + await behind.rest()
    assert gapless(events)
    states = [event.fields["status"] for event in events if event.type == "agent_status"]
    assert states == ["queued", "thinking", "responding"]
    assert events[0].fields["number"] == 2


async def test_a_failing_model_ends_the_stream_with_an_error_and_its_text_is_dropped(
    running_app: AppMaker,
) -> None:
    person, speaker = Person(), Speaker("Half ", "an answer")
    async with (
        running_app(chain=speaker.chain, model_timeout_s=3) as running,
        served(running) as url,
        posting(url, person, "hello") as source,
    ):
        speaker.let(1)
        events = await source.rest()
    assert [event.type for event in events[-3:]] == ["stream_chunk", "stream_end", "error"]
    assert events[-2].fields["dropped"] is True
    assert events[-1].fields["error_code"] == "timeout"
    assert gapless(events)


async def test_a_silent_stream_carries_comments(running_app: AppMaker) -> None:
    person, speaker = Person(), Speaker("At last.")
    async with running_app(chain=speaker.chain, sse_ping_s=0.05) as running:
        async with served(running) as url, posting(url, person, "hello") as source:
            await source.until("openai_call")
            reading = asyncio.create_task(source.rest())
            async with asyncio.timeout(60):
                while len(source.comments) < 2:
                    await asyncio.sleep(0.01)
            speaker.let()
            assert (await reading)[-1].type == "turn_completed"
    assert set(source.comments) == {": ping"}


async def test_a_cancelled_turn_ends_its_streams_on_every_process(running_app: AppMaker) -> None:
    person, speaker = Person(), Speaker("Never ", "finished.")
    async with (
        running_app(chain=speaker.chain) as one,
        running_app() as two,
        served(one) as first,
        served(two) as second,
        posting(first, person, "long work") as here,
    ):
        speaker.let(1)
        seen = await here.until("stream_chunk")
        turn_id = seen[0].fields["turn_id"]
        async with following(second, person, turn_id) as there:
            await there.until("stream_chunk")
            path = f"/api/{person.user_id}/turns/{turn_id}/cancel"
            done = await two.client.post(path, headers=person.headers)
            assert done.status_code == 200
            for source in (here, there):
                last = (await source.rest())[-1]
                assert (last.type, last.fields["error_code"]) == ("error", "turn_cancelled")
        async with following(second, person, turn_id) as source:
            assert gapless(await source.rest())


async def test_a_takeover_tells_readers_to_drop_what_was_not_finished(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person = Person()
    dying, finishing = Speaker("Half of ", "it."), Speaker("All of it.")
    async with (
        running_app(chain=dying.chain) as one,
        running_app(chain=finishing.chain) as two,
        served(one) as first,
        served(two) as second,
        posting(first, person, "tell me") as source,
    ):
        dying.let(1)
        seen = await source.until("stream_chunk")
        turn_id = seen[0].fields["turn_id"]
        await expire(superuser, person, one)
        await sweep(two)
        finishing.let()
        async with following(second, person, turn_id, after=seen[-1].id) as elsewhere:
            rest = await elsewhere.rest()
        # Who stayed where the turn began is told the same.
        assert await source.rest() == rest
    events = seen + rest
    assert gapless(events)
    assert (rest[0].type, rest[0].fields["dropped"]) == ("stream_end", True)
    after = [event.fields["delta"] for event in rest if event.type == "stream_chunk"]
    assert "".join(after) == rest[-2].fields["content"] == "All of it."


async def test_a_takeover_tells_no_tool_call_twice(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person = Person()
    decided = [
        calls_tool("add_task", {"title": "One"}, call_id="call_one"),
        calls_tool("add_task", {"title": "Two"}, call_id="call_two"),
    ]
    _, dying, hanging = hangs_after(decided)
    _, finishing = scripted(says("Both."))
    async with running_app(chain=dying) as one, running_app(chain=finishing) as two:
        waiting = asyncio.create_task(person.say(one.client, "two"))
        await asyncio.wait_for(hanging.wait(), 10)
        await expire(superuser, person, one)
        await sweep(two)
        answer = (await waiting).json()
        path = f"/api/{person.user_id}/turns/{answer['turn_id']}/events"
        told = (await two.client.get(path, headers=person.headers)).text
    events = [json.loads(line[6:]) for line in told.splitlines() if line.startswith("data: ")]
    calls = [event["tool_call_id"] for event in events if event["type"] == "tool_call"]
    results = [event["tool_call_id"] for event in events if event["type"] == "tool_result"]
    assert calls == results == [call["id"] for call in answer["tool_calls"]]


async def test_a_turn_that_is_over_is_read_from_any_place(url: str) -> None:
    person = Person()
    async with posting(url, person, "Add task: A") as source:
        events = await source.rest()
    turn_id = events[0].fields["turn_id"]
    for after in (0, 3, len(events) - 1):
        async with following(url, person, turn_id, after=after) as source:
            assert await source.rest() == events[after:]
    async with following(url, person, turn_id, after=len(events)) as source:
        assert source.response.status_code == 204


@pytest.mark.parametrize("given", ["-1", "x", "1.5", "9999999999", "1, 2"])
async def test_an_id_that_no_event_had_gets_400(client: httpx.AsyncClient, given: str) -> None:
    person = Person()
    turn_id = (await person.say(client, "hello")).json()["turn_id"]
    answer = await client.get(
        f"/api/{person.user_id}/turns/{turn_id}/events",
        headers=person.headers | {"Last-Event-ID": given},
    )
    assert error_of(answer, 400)["details"][0]["field"] == "header.Last-Event-ID"


async def test_events_are_given_as_a_stream_or_not_at_all(client: httpx.AsyncClient) -> None:
    person = Person()
    turn_id = (await person.say(client, "hello")).json()["turn_id"]
    path = f"/api/{person.user_id}/turns/{turn_id}/events"
    answer = await client.get(path, headers=person.headers | {"Accept": "application/json"})
    assert error_of(answer, 406)["error_code"] == "not_acceptable"
    streamed = await client.get(path, headers=person.headers)
    assert streamed.headers["content-type"].startswith("text/event-stream")


async def test_of_a_pruned_turn_the_end_is_still_told(
    offline_app: RunningApp, superuser: AsyncEngine, url: str
) -> None:
    person, kept = Person(), Person()
    async with posting(url, person, "Add task: A") as source:
        events = await source.rest()
    async with posting(url, kept, "Add task: A") as source:
        young = await source.rest()
    async with superuser.begin() as connection:
        for statement in (
            "UPDATE turns SET finished_at = finished_at - interval '25h' WHERE user_id = :o",
            "UPDATE turn_events SET created_at = created_at - interval '25h' WHERE user_id = :o",
        ):
            await connection.execute(text(statement), {"o": person.user_id})
    await do_chores(offline_app.turns.database, offline_app.live.settings)
    turn_id = events[0].fields["turn_id"]
    async with following(url, person, turn_id) as source:
        [last] = await source.rest()
    assert (last.id, last.type) == (events[-1].id, "turn_completed")
    assert last.fields["result"] == events[-1].fields["result"]
    async with following(url, person, turn_id, after=last.id) as source:
        assert source.response.status_code == 204
    async with following(url, kept, young[0].fields["turn_id"]) as source:
        assert await source.rest() == young


async def test_without_notifications_a_reader_on_another_process_is_told_by_polling(
    running_app: AppMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "TICK_S", 0.02)
    monkeypatch.setattr(feed, "SOON_S", 0.02)
    monkeypatch.setattr(feed, "ACTIVE_S", (60.0, 0.05))
    person, speaker = Person(), Speaker("One, ", "two.")
    async with (
        running_app(chain=speaker.chain) as one,
        running_app() as two,
        served(one) as first,
        served(two) as second,
        posting(first, person, "count") as source,
    ):
        await two.listener.close()
        assert not two.listener.listening.is_set()
        speaker.let(1)
        seen = await source.until("stream_chunk")
        async with following(second, person, seen[0].fields["turn_id"]) as elsewhere:
            await elsewhere.until("stream_chunk")
            speaker.let()
            assert (await elsewhere.rest())[-1].type == "turn_completed"


async def test_a_database_that_goes_ends_the_stream_with_a_reason(
    running_app: AppMaker, superuser: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from taskchat.errors import DatabaseError
    from taskchat.live import reader

    async def away(*_args: object) -> None:
        raise DatabaseError(retry_after_s=1)

    person, speaker = Person(), Speaker("Not heard.")
    async with running_app(chain=speaker.chain) as running, served(running) as url:
        monkeypatch.setattr(reader, "read_after", away)
        async with posting(url, person, "hello") as source:
            [told] = await source.rest()
        assert (told.id, told.type) == (0, "error")
        assert told.fields["error_code"] == "database_error"
        monkeypatch.undo()
        speaker.let()


async def test_an_app_that_stops_ends_its_streams(running_app: AppMaker) -> None:
    person, speaker = Person(), Speaker("Cut ", "short.")
    source: EventSource
    async with running_app() as other, served(other) as elsewhere:
        async with running_app(chain=speaker.chain, drain_timeout_s=0.2) as running:
            async with served(running) as url, posting(url, person, "hello") as source:
                speaker.let(1)
                seen = await source.until("stream_chunk")
                from taskchat.app import drain

                await drain(running.live)
                assert all(event.type != "turn_completed" for event in await source.rest())
        # Handed over, and finished by whoever lives.
        await sweep(other)
        async with following(elsewhere, person, seen[0].fields["turn_id"]) as source:
            assert (await source.rest())[-1].type == "turn_completed"


async def test_a_turn_that_ends_between_two_looks_at_it_loses_no_event(
    running_app: AppMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, asked, go_on = Person(), asyncio.Event(), asyncio.Event()
    read = store.events.read_after

    async def wait(_heard: str) -> None:
        asked.set()
        await go_on.wait()

    async with running_app(chain=[NamedModel("echo", echoing(1, wait))]) as running:

        async def slowly(connection: Any, turn: Any, seq: int) -> Any:
            """Nothing new, and the turn ends before anything else is read."""
            events = await read(connection, turn, seq)
            if not events:
                go_on.set()
                job = running.turns.jobs.get(turn.id)
                if job is not None:
                    await job.task
            return events

        saying = asyncio.create_task(person.say(running.client, "Really?"))
        async with asyncio.timeout(PATIENCE_S):
            await asked.wait()
            [turn_id] = running.turns.jobs.turn_ids()
            job = running.turns.jobs.get(turn_id)
            assert job is not None
            monkeypatch.setattr(store.events, "read_after", slowly)
            told: list[int] = []
            while not go_on.is_set() or told[-1] < 7:
                events = await read_after(running.live.database, job.turn, told[-1] if told else 0)
                told += [event.seq for event in events]
            await saying
    assert told == list(range(1, len(told) + 1))

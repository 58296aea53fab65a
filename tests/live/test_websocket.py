"""A conversation over a socket: acknowledged once committed, told to every tab, resumed in full."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, cast
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import Receive, Scope, Send
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person
from tests.house import do_chores
from tests.live.served import PATIENCE_S, Socket, Speaker, on_a_socket, served, silent, socket

from taskchat.errors import DatabaseError
from taskchat.settings import Settings
from taskchat.transports.socket import session
from taskchat.transports.socket.frames import Ping
from taskchat.turns import store

EVENT_TYPES_OF_A_CHAT = [
    "turn_started",
    "agent_status",
    "openai_call",
    "openai_response",
    "tool_call",
    "tool_result",
    "openai_call",
    "agent_status",
    "stream_start",
    "stream_chunk",
    "stream_end",
    "openai_response",
    "assistant",
    "turn_completed",
]


@pytest.fixture
async def url(offline_app: RunningApp) -> AsyncIterator[str]:
    async with served(offline_app) as address:
        yield address


@contextlib.asynccontextmanager
async def begun(url: str, person: Person, message: str = "hello") -> AsyncIterator[Socket]:
    """A socket whose conversation has one finished turn."""
    async with socket(url, person) as one:
        await one.send("message", content=message)
        await one.until("turn_completed")
        yield one


async def conversation_of(person: Person, running: RunningApp) -> str:
    answer = await running.client.get(
        f"/api/{person.user_id}/conversations", headers=person.headers
    )
    return str(answer.json()["data"][0]["id"])


def events_in(frames: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(frame["turn_id"], frame["seq"]) for frame in frames if "seq" in frame]


async def test_a_message_to_a_new_conversation_is_acknowledged_and_answered(
    url: str, offline_app: RunningApp
) -> None:
    person = Person()
    async with socket(url, person) as one:
        assert await one.next() == {
            "type": "connection",
            "status": "connected",
            "user_id": person.user_id,
            "conversation_id": None,
            "unfinished_turns": [],
        }
        await one.send("message", content="Add task: Buy milk", id="first")
        started, acknowledged = await one.next(), await one.next()
        frames = await one.until("turn_completed")
    assert started["type"] == "session_started"
    assert (acknowledged["type"], acknowledged["reply_to"]) == ("acknowledgment", "first")
    assert acknowledged["replayed"] is False
    assert started["conversation_id"] == acknowledged["conversation_id"]
    assert [frame["type"] for frame in frames] == EVENT_TYPES_OF_A_CHAT
    assert [frame["seq"] for frame in frames] == list(range(1, len(frames) + 1))
    path = f"/api/{person.user_id}/turns/{acknowledged['turn_id']}"
    stored = await offline_app.client.get(path, headers=person.headers)
    assert (stored.json()["channel"], stored.json()["reply"]) == (
        "websocket",
        frames[-2]["content"],
    )


async def test_a_message_is_committed_when_it_is_acknowledged(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person, speaker = Person(), Speaker("Later.")
    async with running_app(chain=speaker.chain) as running, served(running) as url:
        async with socket(url, person) as one:
            await one.send("message", content="keep this")
            await one.until("acknowledgment")
            async with superuser.connect() as connection:
                kept = await connection.scalar(
                    text("SELECT content FROM messages WHERE user_id = :o"), {"o": person.user_id}
                )
            assert kept == "keep this"
        # The turn outlives the socket.
        speaker.let()
        conversation = await conversation_of(person, running)
        path = f"/api/{person.user_id}/conversations/{conversation}/messages"
        async with asyncio.timeout(PATIENCE_S):
            while True:
                page = await running.client.get(path, headers=person.headers)
                if len(page.json()["data"]) == 2:
                    break
                await asyncio.sleep(0.02)
    assert page.json()["data"][1]["content"] == "Later."


async def test_every_socket_of_a_conversation_sees_its_turns_on_every_process(
    running_app: AppMaker,
) -> None:
    person, stranger, speaker = Person(), Person(), Speaker("One, ", "two.")
    async with (
        running_app(chain=speaker.chain) as first,
        running_app(chain=speaker.chain) as second,
        served(first) as here,
        served(second) as there,
        socket(here, person) as one,
        socket(here, stranger) as other,
    ):
        await other.next()
        await one.next()
        await one.send("start_session")
        conversation = (await one.until("session_started"))[-1]["conversation_id"]
        async with (
            socket(here, person, conversation) as tab,
            socket(there, person, conversation) as elsewhere,
        ):
            for each in (tab, elsewhere):
                assert (await each.next())["conversation_id"] == conversation
            speaker.let()
            await one.send("message", content="count")
            told = [await each.until("turn_completed") for each in (one, tab, elsewhere)]
            assert told[0][0]["type"] == "acknowledgment"
            assert told[0][1:] == told[1] == told[2]
            # Whoever says something, by whatever channel, everybody hears it.
            speaker.let()
            await elsewhere.send("message", content="again", id="b")
            assert (await elsewhere.next())["reply_to"] == "b"
            rest = [await each.until("turn_completed") for each in (one, tab, elsewhere)]
            assert rest[0] == rest[1] == rest[2]
            answering = asyncio.create_task(
                person.say(second.client, "by post", conversation_id=conversation)
            )
            posted = [await each.until("turn_completed") for each in (one, tab, elsewhere)]
            assert posted[0] == posted[1] == posted[2]
            assert posted[0][0]["content"] == "by post"
            assert (await answering).status_code == 200
        await other.send("ping")
        assert (await other.next())["type"] == "pong"


async def test_a_message_is_acknowledged_before_its_events_are_told(
    url: str, offline_app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, committed, go_on = Person(), asyncio.Event(), asyncio.Event()
    commit = store.begin.begin

    async def heard_of_late(*args: Any, **kwargs: Any) -> Any:
        begun = await commit(*args, **kwargs)
        committed.set()
        await go_on.wait()
        return begun

    async with begun(url, person) as one:
        conversation = await conversation_of(person, offline_app)
        async with socket(url, person, conversation) as tab:
            assert (await tab.next())["type"] == "connection"
            monkeypatch.setattr(store.begin, "begin", heard_of_late)
            await one.send("message", content="and again", id="m")
            await asyncio.wait_for(committed.wait(), PATIENCE_S)
            # As a notification does that overtakes the answer to the commit.
            offline_app.live.feed.look_at(UUID(conversation))
            seen = await tab.until("turn_started")
            go_on.set()
            acknowledged, *frames = await one.until("turn_completed")
            seen += await tab.until("turn_completed")
    assert (acknowledged["type"], acknowledged["reply_to"]) == ("acknowledgment", "m")
    assert frames == seen
    assert [frame["seq"] for frame in frames] == list(range(1, len(frames) + 1))


async def test_a_message_that_is_refused_holds_nothing_back(
    running_app: AppMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, speaker, refuse = Person(), Speaker("One, ", "two."), asyncio.Event()
    asked = asyncio.Event()

    async def refused(*_args: object, **_kwargs: object) -> None:
        asked.set()
        await refuse.wait()
        raise DatabaseError(retry_after_s=1)

    async with running_app(chain=speaker.chain) as running, served(running) as url:
        async with socket(url, person) as one:
            await one.send("message", content="count")
            speaker.let(1)
            seen = (await one.until("stream_chunk"))[3:]
            async with socket(url, person, seen[-1]["conversation_id"]) as tab:
                assert (await tab.next())["type"] == "connection"
                monkeypatch.setattr(store.begin, "begin", refused)
                await one.send("message", content="one more", id="m")
                await asyncio.wait_for(asked.wait(), PATIENCE_S)
                speaker.let()
                await tab.until("turn_completed")
                refuse.set()
                seen += await one.until("turn_completed")
                told = await one.next()
                monkeypatch.undo()
                speaker.let()
                await tab.send("message", content="go on")
                later = await one.until("turn_completed")
    assert (told["code"], told["reply_to"]) == ("DATABASE_ERROR", "m")
    for frames in (seen, later):
        assert [frame["seq"] for frame in frames] == list(range(1, len(frames) + 1))


async def test_a_socket_that_comes_back_misses_nothing(running_app: AppMaker) -> None:
    person, speaker = Person(), Speaker("One, ", "two, ", "three.")
    async with (
        running_app(chain=speaker.chain) as first,
        running_app(chain=speaker.chain) as second,
        served(first) as here,
        served(second) as there,
        socket(here, person) as witness,
    ):
        async with socket(here, person) as one:
            await one.send("message", content="count")
            speaker.let(1)
            seen = (await one.until("stream_chunk"))[3:]
        conversation, turn_id = seen[0]["conversation_id"], seen[0]["turn_id"]
        await witness.next()
        # Gone: the turn ends and two more are taken.
        speaker.let()
        waiting = [
            asyncio.create_task(person.say(first.client, word, conversation_id=conversation))
            for word in ("second", "third")
        ]
        assert [answer.status_code for answer in await asyncio.gather(*waiting)] == [200, 200]
        async with socket(there, person, conversation) as one:
            assert (await one.next())["type"] == "connection"
            await one.send("resume", turn_id=turn_id, after_seq=seen[-1]["seq"])
            missed = await one.until("turn_completed")
            later = await one.until("turn_completed") + await one.until("turn_completed")
            await one.send("ping")
            assert (await one.next())["type"] == "pong"
    places = events_in(seen + missed)
    assert places == [(turn_id, seq) for seq in range(1, len(places) + 1)]
    said = [frame["content"] for frame in later if frame["type"] == "turn_started"]
    assert sorted(said) == ["second", "third"]
    assert len(set(events_in(later))) == len(later)


async def test_a_turn_under_way_is_told_on_from_where_a_socket_joins(
    running_app: AppMaker,
) -> None:
    person, speaker = Person(), Speaker("One, ", "two, ", "three.")
    async with running_app(chain=speaker.chain) as running, served(running) as url:
        async with socket(url, person) as one:
            await one.send("message", content="count")
            speaker.let(1)
            seen = await one.until("stream_chunk")
            conversation = seen[-1]["conversation_id"]
            async with socket(url, person, conversation) as joins:
                greeting = await joins.next()
                assert greeting["unfinished_turns"] == [seen[-1]["turn_id"]]
                speaker.let()
                here = await one.until("turn_completed")
                assert await joins.until("turn_completed") == here
                # From the beginning, for one that wants to see it all.
                await joins.send("resume", turn_id=seen[-1]["turn_id"], after_seq=0)
                assert await joins.until("turn_completed") == [
                    frame for frame in seen + here if "seq" in frame
                ]


async def test_of_a_pruned_turn_a_resume_tells_the_end(
    offline_app: RunningApp, superuser: AsyncEngine, url: str
) -> None:
    person = Person()
    async with begun(url, person) as one:
        await one.send("message", content="again")
        last = (await one.until("turn_completed"))[-1]
        async with superuser.begin() as connection:
            for statement in (
                "UPDATE turns SET finished_at = finished_at - interval '25h' WHERE user_id = :o",
                "UPDATE turn_events SET created_at = created_at - interval '25h'"
                " WHERE user_id = :o",
            ):
                await connection.execute(text(statement), {"o": person.user_id})
        live = offline_app.live
        await do_chores(live.database, live.settings)
        await one.send("resume", turn_id=last["turn_id"], after_seq=2)
        told = await one.next()
        assert (told["seq"], told["result"]) == (last["seq"], last["result"])
        await one.send("resume", turn_id=last["turn_id"], after_seq=last["seq"])
        await one.send("message", content="and now?")
        assert (await one.next())["type"] == "acknowledgment"


async def test_a_repeated_key_is_the_same_turn_told_again(url: str) -> None:
    person = Person()
    async with begun(url, person) as one:
        await one.send("message", content="Add task: Once", idempotency_key="k")
        first = await one.until("turn_completed")
        await one.send("message", content="Add task: Once", idempotency_key="k", id="again")
        acknowledged = await one.next()
        assert (acknowledged["replayed"], acknowledged["reply_to"]) == (True, "again")
        assert acknowledged["turn_id"] == first[0]["turn_id"]
        assert await one.until("turn_completed") == first[1:]
    async with socket(url, person) as fresh:
        await fresh.next()
        await fresh.send("message", content="Add task: Once", idempotency_key="k2")
        await fresh.until("turn_completed")
    async with socket(url, person) as fresh:
        await fresh.next()
        await fresh.send("message", content="Add task: Once", idempotency_key="k2")
        frames = await fresh.until("turn_completed")
        assert [frame["type"] for frame in frames[:2]] == ["session_started", "acknowledgment"]
        assert [frame["seq"] for frame in frames[2:]] == list(range(1, len(frames) - 1))


async def test_a_cancelled_turn_ends_with_an_error_on_the_socket(running_app: AppMaker) -> None:
    person, speaker = Person(), Speaker("Never ", "finished.")
    async with running_app(chain=speaker.chain) as running, served(running) as url:
        async with socket(url, person) as one:
            await one.send("message", content="long work")
            speaker.let(1)
            turn_id = (await one.until("stream_chunk"))[-1]["turn_id"]
            await one.send("cancel", turn_id=turn_id)
            last = (await one.until("error"))[-1]
            assert (last["error_code"], last["turn_id"]) == ("turn_cancelled", turn_id)
            await one.send("cancel", turn_id=turn_id, id="c")
            refused = await one.next()
            assert (refused["code"], refused["reply_to"]) == ("TURN_NOT_CANCELLABLE", "c")


async def test_a_session_is_started_and_ended_for_all_its_sockets(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person = Person()
    async with (
        running_app() as first,
        running_app() as second,
        served(first) as here,
        served(second) as there,
        socket(here, person) as one,
    ):
        await one.next()
        await one.send("end_session", id="early")
        assert (await one.next())["code"] == "NOT_FOUND"
        await one.send("start_session", id="s")
        started = await one.next()
        assert (started["type"], started["reply_to"]) == ("session_started", "s")
        conversation = started["conversation_id"]
        async with superuser.begin() as connection:
            await connection.execute(
                text("UPDATE conversations SET status = 'paused' WHERE user_id = :o"),
                {"o": person.user_id},
            )
        await one.send("start_session")
        assert (await one.next())["conversation_id"] == conversation
        async with socket(there, person, conversation) as other:
            await asyncio.wait_for(second.listener.listening.wait(), PATIENCE_S)
            assert (await other.next())["type"] == "connection"
            await one.send("end_session", id="e")
            ended = await one.next()
            assert (ended["type"], ended["reply_to"]) == ("session_ended", "e")
            assert await other.next() == {
                "type": "session_ended",
                "conversation_id": conversation,
            }
            await other.send("message", content="still there?", id="m")
            refused = await other.next()
            assert (refused["code"], refused["reply_to"]) == ("CONVERSATION_ENDED", "m")
            await other.send("start_session")
            assert (await other.next())["code"] == "CONVERSATION_ENDED"


async def test_the_limits_can_be_asked_for(running_app: AppMaker) -> None:
    person = Person()
    async with running_app(rate_user_per_minute=7) as running, served(running) as url:
        async with socket(url, person) as one:
            await one.next()
            await one.send("get_rate_limit_status", id="l")
            told = await one.next()
            assert (told["type"], told["reply_to"]) == ("rate_limit_status", "l")
            assert [(level["scope"], level["remaining"]) for level in told["limits"]] == [
                ("user", 7)
            ]


async def test_a_crash_in_a_frame_is_told_and_the_socket_stays(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*_args: object) -> None:
        raise ZeroDivisionError

    person = Person()
    async with socket(url, person) as one:
        await one.next()
        monkeypatch.setitem(cast("dict[Any, Any]", session.Session._HANDLERS), Ping, crash)
        await one.send("ping", id="p")
        told = await one.next()
        assert (told["code"], told["reply_to"]) == ("PROCESSING_ERROR", "p")
        assert "try again" in told["error"]
        monkeypatch.undo()
        await one.send("ping")
        assert (await one.next())["type"] == "pong"


async def test_a_database_that_is_away_is_told_and_closes_a_socket_that_comes(
    url: str, offline_app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    from taskchat.errors import DatabaseError

    async def away(*_args: object) -> None:
        raise DatabaseError(retry_after_s=1)

    person = Person()
    async with begun(url, person):
        conversation = await conversation_of(person, offline_app)
    monkeypatch.setattr(offline_app.live.presence, "join", away)
    async with socket(url, person, conversation) as one:
        assert (await one.next())["code"] == "DATABASE_ERROR"
        assert (await one.closed())[0] == 1013


async def test_an_app_that_stops_tells_its_sockets_and_closes_them(running_app: AppMaker) -> None:
    from taskchat.app import drain

    person, speaker = Person(), Speaker("To the ", "end.")
    async with running_app(chain=speaker.chain) as running, served(running) as url:
        async with socket(url, person) as one, socket(url, person) as late:
            await late.next()
            await one.send("message", content="hello")
            await one.until("openai_call")
            draining = asyncio.create_task(drain(running.live))
            notice = (await one.until("system"))[-1]
            assert (notice["action"], notice["reconnect_after"] > 0) == ("shutdown", True)
            assert (await late.next())["type"] == "system"
            await late.send("message", content="one more")
            assert (await late.next())["code"] == "SHUTTING_DOWN"
            async with socket(url, person) as refused:
                assert (await refused.next())["type"] == "system"
                assert (await refused.closed())[0] == 1012
            speaker.let()
            # What runs is finished before the socket goes.
            assert (await one.until("turn_completed"))[-1]["result"]["response"] == "To the end."
            await draining
            assert [(await each.closed())[0] for each in (one, late)] == [1012, 1012]


async def test_a_frame_that_is_sent_is_the_event_byte_for_byte(
    url: str, superuser: AsyncEngine
) -> None:
    person = Person()
    async with socket(url, person) as one:
        await one.send("message", content="Grüße, 😀")
        texts: list[str] = []
        while not texts or json.loads(texts[-1])["type"] != "turn_completed":
            texts.append(await one.next_text())
    async with superuser.connect() as connection:
        kept = await connection.scalars(
            text("SELECT data FROM turn_events WHERE user_id = :o ORDER BY seq"),
            {"o": person.user_id},
        )
        assert list(kept) == texts[3:]


async def test_who_takes_nothing_for_as_long_as_is_set_is_cut_off(settings: Settings) -> None:
    cut = asyncio.Event()

    async def pouring(scope: Scope, receive: Receive, send: Send) -> None:
        """More than what any operating system holds for a peer."""
        await receive()
        await send({"type": "websocket.accept"})
        with contextlib.suppress(Exception):
            for _ in range(1000):
                await send({"type": "websocket.send", "bytes": b"x" * 100_000})
        while (await receive())["type"] != "websocket.disconnect":
            pass
        cut.set()

    quick = settings.model_copy(update={"websocket_stall_s": 0.2})
    async with on_a_socket(pouring, quick) as url, silent(url, Person()):
        # In less than what is set by default.
        async with asyncio.timeout(Settings.model_fields["websocket_stall_s"].default - 1):
            await cut.wait()

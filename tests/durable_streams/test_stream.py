"""A turn's events as a durable stream: any place of it can be read, waited for, and read again."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.answers import error_of
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person
from tests.house import do_chores
from tests.live.served import PATIENCE_S, Speaker, following, posting, served

from taskchat.transports.durable_streams import next_cursor, offset_of
from taskchat.turns import store

BEGINNING = {"offset": "-1"}


@pytest.fixture
async def url(offline_app: RunningApp) -> AsyncIterator[str]:
    async with served(offline_app) as address:
        yield address


def path_of(person: Person, turn_id: str) -> str:
    return f"/api/{person.user_id}/turns/{turn_id}/stream"


async def read(
    client: httpx.AsyncClient, person: Person, turn_id: str, **query: str
) -> httpx.Response:
    return await client.get(path_of(person, turn_id), params=query, headers=person.headers)


async def said(client: httpx.AsyncClient, message: str = "Add task: Milk") -> tuple[Person, str]:
    """Somebody's turn that is over."""
    person = Person()
    turn_id: str = (await person.say(client, message)).json()["turn_id"]
    return person, turn_id


def blocks(told: str) -> list[tuple[str, Any]]:
    """What a stream of server-sent events says, without its comments."""
    found = [block.split("\n") for block in told.split("\n\n") if block.startswith("event")]
    return [(event[7:], json.loads(data[5:])) for event, data in found]


async def test_all_that_happened_is_read_with_the_bytes_of_the_events(
    offline_app: RunningApp, url: str
) -> None:
    person, turn_id = await said(offline_app.client)
    async with following(url, person, turn_id) as source:
        events = await source.rest()
    answer = await read(offline_app.client, person, turn_id)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.text == f"[{','.join(event.data for event in events)}]"
    assert answer.headers["stream-next-offset"] == offset_of(events[-1].id)
    assert answer.headers["stream-up-to-date"] == answer.headers["stream-closed"] == "true"
    assert "private" in answer.headers["cache-control"]
    again = await read(offline_app.client, person, turn_id, **BEGINNING)
    assert again.text == answer.text


async def test_reading_goes_on_from_any_offset_and_ends_with_nothing(
    offline_app: RunningApp,
) -> None:
    person, turn_id = await said(offline_app.client)
    whole = (await read(offline_app.client, person, turn_id)).json()
    for seq in range(len(whole) + 1):
        answer = await read(offline_app.client, person, turn_id, offset=offset_of(seq))
        assert answer.json() == whole[seq:]
        assert answer.headers["stream-next-offset"] == offset_of(len(whole))
        assert answer.headers["stream-closed"] == "true"


async def test_a_long_turn_is_read_part_by_part(
    offline_app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, turn_id = await said(offline_app.client)
    whole = (await read(offline_app.client, person, turn_id)).json()
    monkeypatch.setattr(store.events, "EVENTS_MAX", 4)
    found: list[Any] = []
    offset = "-1"
    while True:
        answer = await read(offline_app.client, person, turn_id, offset=offset)
        found += answer.json()
        offset = answer.headers["stream-next-offset"]
        if "stream-up-to-date" in answer.headers:
            break
        assert "stream-closed" not in answer.headers
        assert len(answer.json()) == 4
    assert found == whole
    assert answer.headers["stream-closed"] == "true"


async def test_what_one_has_is_not_sent_again(offline_app: RunningApp) -> None:
    person, turn_id = await said(offline_app.client)
    first = await read(offline_app.client, person, turn_id)
    for given, status in (
        (first.headers["etag"], 304),
        (f'"other", W/{first.headers["etag"]}', 304),
        ('"other"', 200),
    ):
        answer = await offline_app.client.get(
            path_of(person, turn_id), headers=person.headers | {"If-None-Match": given}
        )
        assert answer.status_code == status
        assert answer.headers["stream-next-offset"] == first.headers["stream-next-offset"]
        assert answer.text == (first.text if status == 200 else "")


async def test_the_end_of_a_running_turn_has_another_etag_once_the_turn_is_over(
    running_app: AppMaker,
) -> None:
    person, speaker = Person(), Speaker("One.")
    async with running_app(chain=speaker.chain) as running, served(running) as url:
        async with posting(url, person, "count") as source:
            [started] = await source.until("turn_started")
            turn_id = started.fields["turn_id"]
            open_ = await read(running.client, person, turn_id)
            head = await running.client.head(path_of(person, turn_id), headers=person.headers)
            assert "stream-closed" not in open_.headers
            assert "stream-closed" not in head.headers
            assert open_.headers["stream-up-to-date"] == "true"
            speaker.let()
            last = (await source.rest())[-1]
        closed = await read(running.client, person, turn_id)
        head = await running.client.head(path_of(person, turn_id), headers=person.headers)
    assert open_.headers["etag"] != closed.headers["etag"]
    assert head.headers["stream-closed"] == closed.headers["stream-closed"] == "true"
    assert head.headers["stream-next-offset"] == offset_of(last.id)
    assert head.headers["content-type"] == "application/json"
    assert (head.content, head.headers["cache-control"]) == (b"", "no-store")


async def test_a_long_poll_waits_on_any_process_and_stops_where_the_stream_is_closed(
    running_app: AppMaker,
) -> None:
    person, speaker = Person(), Speaker("One, ", "two.")
    async with (
        running_app(chain=speaker.chain) as one,
        running_app() as two,
        served(one) as first,
        posting(first, person, "count") as source,
    ):
        turn_id = (await source.until("turn_started"))[0].fields["turn_id"]
        speaker.let()
        found: list[Any] = []
        query = {"offset": "-1", "live": "long-poll"}
        while True:
            answer = await read(two.client, person, turn_id, **query)
            query["offset"] = answer.headers["stream-next-offset"]
            query["cursor"] = answer.headers["stream-cursor"]
            if answer.status_code == 204:
                break
            found += answer.json()
        assert answer.headers["stream-closed"] == "true"
        whole = (await read(one.client, person, turn_id)).json()
    assert found == whole
    assert found[-1]["type"] == "turn_completed"


async def test_a_long_poll_for_which_nothing_comes_says_where_the_end_is(
    running_app: AppMaker,
) -> None:
    person, speaker = Person(), Speaker("One.")
    async with (
        running_app(chain=speaker.chain, long_poll_s=0.05) as running,
        served(running) as url,
        posting(url, person, "count") as source,
    ):
        turn_id = (await source.until("openai_call"))[0].fields["turn_id"]
        answer = await read(running.client, person, turn_id, offset="now", live="long-poll")
        speaker.let()
        await source.rest()
    assert (answer.status_code, answer.text) == (204, "")
    assert answer.headers["stream-up-to-date"] == "true"
    assert answer.headers["stream-next-offset"] == offset_of(3)
    assert "stream-closed" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"


async def test_a_live_stream_says_where_it_is_after_each_part_and_ends_when_it_is_closed(
    running_app: AppMaker,
) -> None:
    person, speaker = Person(), Speaker("One, ", "two.")
    async with (
        running_app(chain=speaker.chain) as one,
        running_app() as two,
        served(one) as first,
        served(two) as second,
        posting(first, person, "count") as source,
        httpx.AsyncClient(base_url=second, timeout=PATIENCE_S) as client,
    ):
        turn_id = (await source.until("turn_started"))[0].fields["turn_id"]
        async with client.stream(
            "GET",
            path_of(person, turn_id),
            params={"offset": "-1", "live": "sse"},
            headers=person.headers,
        ) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            speaker.let()
            told = blocks("".join([part async for part in answer.aiter_text()]))
        whole = (await read(one.client, person, turn_id)).json()
    assert [kind for kind, _ in told] == ["data", "control"] * (len(told) // 2)
    assert [event for kind, part in told if kind == "data" for event in part] == whole
    seen = 0
    for (_, part), (_, control) in zip(told[::2], told[1::2], strict=True):
        seen += len(part)
        assert control["streamNextOffset"] == offset_of(seen)
    assert control == {
        "streamNextOffset": offset_of(len(whole)),
        "streamClosed": True,
        "upToDate": True,
    }


async def test_a_live_stream_goes_on_behind_an_offset(offline_app: RunningApp) -> None:
    person, turn_id = await said(offline_app.client)
    whole = (await read(offline_app.client, person, turn_id)).json()
    answer = await read(offline_app.client, person, turn_id, offset=offset_of(5), live="sse")
    [(_, part), (_, control)] = blocks(answer.text)
    assert part == whole[5:]
    assert control["streamClosed"] is True
    rest = await read(offline_app.client, person, turn_id, offset="now", live="sse")
    assert blocks(rest.text) == [("control", control)]


async def test_of_a_pruned_turn_the_end_is_still_read(
    offline_app: RunningApp, superuser: AsyncEngine
) -> None:
    person, turn_id = await said(offline_app.client)
    whole = (await read(offline_app.client, person, turn_id)).json()
    async with superuser.begin() as connection:
        for statement in (
            "UPDATE turns SET finished_at = finished_at - interval '25h' WHERE user_id = :o",
            "UPDATE turn_events SET created_at = created_at - interval '25h' WHERE user_id = :o",
        ):
            await connection.execute(text(statement), {"o": person.user_id})
    await do_chores(offline_app.turns.database, offline_app.live.settings)
    for offset in ("-1", offset_of(2)):
        answer = await read(offline_app.client, person, turn_id, offset=offset)
        [last] = answer.json()
        assert (last["seq"], last["result"]) == (len(whole), whole[-1]["result"])
        assert answer.headers["stream-closed"] == "true"
    head = await offline_app.client.head(path_of(person, turn_id), headers=person.headers)
    assert head.headers["stream-next-offset"] == offset_of(len(whole))
    behind = await read(offline_app.client, person, turn_id, offset=offset_of(len(whole)))
    assert behind.json() == []


async def test_a_live_stream_of_a_turn_that_is_deleted_ends(running_app: AppMaker) -> None:
    person, speaker = Person(), Speaker("One.")
    async with (
        running_app(chain=speaker.chain, sse_ping_s=0.05) as running,
        served(running) as url,
        posting(url, person, "count") as source,
        httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client,
    ):
        started = (await source.until("turn_started"))[0].fields
        path = path_of(person, started["turn_id"])
        query = {"offset": "now", "live": "sse"}
        async with client.stream("GET", path, params=query, headers=person.headers) as answer:
            parts = answer.aiter_text()
            assert "upToDate" in await anext(parts)
            await client.delete(
                f"/api/{person.user_id}/conversations/{started['conversation_id']}",
                headers=person.headers,
            )
            rest = "".join([part async for part in parts])
        assert "streamClosed" not in rest
        gone = await client.get(path, params=query, headers=person.headers)
        assert gone.status_code == 404


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("offset=7", "offset"),
        ("offset=", "offset"),
        ("offset=0,1", "offset"),
        ("offset=-2", "offset"),
        ("offset=000000000001&offset=000000000002", "offset"),
        ("offset=000000009999", "offset"),
        ("live=sse", "offset"),
        ("live=long-poll", "offset"),
        ("offset=-1&live=websocket", "live"),
    ],
)
async def test_what_no_stream_has_given_is_refused(
    offline_app: RunningApp, query: str, field: str
) -> None:
    person, turn_id = await said(offline_app.client)
    answer = await offline_app.client.get(
        f"{path_of(person, turn_id)}?{query}", headers=person.headers
    )
    assert error_of(answer, 400)["details"][0]["field"] == field


@pytest.mark.parametrize(
    ("live", "accept"), [("sse", "application/json"), ("long-poll", "text/event-stream")]
)
async def test_a_form_that_is_not_accepted_is_not_sent(
    offline_app: RunningApp, live: str, accept: str
) -> None:
    person, turn_id = await said(offline_app.client)
    answer = await offline_app.client.get(
        path_of(person, turn_id),
        params={"offset": "-1", "live": live},
        headers=person.headers | {"Accept": accept},
    )
    assert error_of(answer, 406)["error_code"] == "not_acceptable"


def test_a_cursor_never_stays_where_it_was() -> None:
    now = int(next_cursor(0))
    assert int(next_cursor(now - 100)) in (now, now + 1)
    for ahead in (now + 1, now + 1000):
        assert int(next_cursor(ahead)) > ahead

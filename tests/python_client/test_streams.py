"""A stream tells each event once, in order, to the end, whatever becomes of its connections."""

import itertools
import random
from collections.abc import Sequence

import httpx2
import pytest
from tests.factories import Person
from tests.python_client.conftest import WHOLE, AnswerLost, ClientMaker, Fault, requests_of

import taskchat_client
from taskchat_client import Client, Event, patience
from taskchat_client.patience import Patience

pytestmark = pytest.mark.usefixtures("waits")

SCRIPT = [
    {"call": {"tool": "add_task", "arguments": {"title": "Milk"}}},
    {"say": ["Milk", " is", " on", " the", " list."]},
]


async def told(client: Client, message: str = "What do I need?") -> list[Event]:
    return [event async for event in client.stream(message)]


def is_whole(events: Sequence[Event]) -> bool:
    return (
        [event.seq for event in events] == list(range(1, len(events) + 1))
        and len({event.turn_id for event in events}) == 1
        and [event.ends_turn for event in events] == [False] * (len(events) - 1) + [True]
    )


async def test_a_message_is_followed_to_its_reply(client_of: ClientMaker) -> None:
    async with client_of(script=SCRIPT) as client:
        events = await told(client)
        assert is_whole(events)
        [call] = [event for event in events if isinstance(event, taskchat_client.ToolResult)]
        assert (call.tool_name, call.result["title"]) == ("add_task", "Milk")
        assert isinstance(events[-1], taskchat_client.TurnCompleted)
        assert events[-1].result.response == "Milk is on the list."
        assert len(requests_of(client)) == 1


@pytest.mark.parametrize("seed", range(4))
async def test_a_stream_that_is_cut_anywhere_any_number_of_times_is_told_whole(
    client_of: ClientMaker, seed: int
) -> None:
    # Some cuts are within the first event, some within one, some behind the last but one byte.
    dice = random.Random(seed)
    cuts = [dice.choice([0, 1, 25, 150, 300, 500, 501, 900, 901]) for _ in range(40)]
    person = Person()
    async with client_of(*cuts, person=person, script=SCRIPT) as client:
        events = await told(client)
        again = [event async for event in client.follow(events[0].turn_id)]
        made = requests_of(client)
    assert is_whole(events)
    assert events == again
    assert len(made) > 5
    # A message without a sign of life is said again under its key; from then on it is resumed.
    said = list(itertools.takewhile(lambda request: request.method == "POST", made))
    assert all(request.method == "GET" for request in made[len(said) :])
    assert len({request.headers["idempotency-key"] for request in said}) == 1
    async with client_of(person=person) as client:
        assert [task.title for task in await client.tasks()] == ["Milk"]
        assert len(await client.conversations()) == 1


async def test_a_resumed_stream_goes_on_behind_the_last_event_that_came(
    client_of: ClientMaker,
) -> None:
    async with client_of(900, script=SCRIPT) as client:
        seen: list[Event] = []
        async for event in client.stream("What do I need?"):
            if len(requests_of(client)) == 2:
                break
            seen.append(event)
        resumed = requests_of(client)[1]
    assert resumed.url.path.endswith(f"/turns/{seen[-1].turn_id}/events")
    assert resumed.headers["last-event-id"] == str(seen[-1].seq)


@pytest.mark.parametrize(
    "fault",
    [
        httpx2.ConnectError("nobody is there"),
        AnswerLost("the answer was lost"),
        httpx2.ReadTimeout("nothing came for too long"),
        httpx2.Response(429, headers={"Retry-After": "1"}),
        httpx2.Response(503, json={"error_code": "shutting_down", "error": "Elsewhere."}),
        # What stands before the service, and what a captive network answers.
        httpx2.Response(502, text="Bad Gateway"),
        httpx2.Response(200, text="<html>", headers={"Content-Type": "text/html"}),
        # A stream that can't go on says why; its turn goes on.
        httpx2.Response(
            200,
            text='data: {"type":"error","error_code":"database_error","error":"!"}\n\n',
            headers={"Content-Type": "text/event-stream"},
        ),
    ],
    ids=lambda fault: f"{type(fault).__name__}-{getattr(fault, 'status_code', '')}",
)
async def test_what_passes_is_tried_again_and_never_becomes_a_second_turn(
    client_of: ClientMaker, fault: Fault
) -> None:
    person = Person()
    async with client_of(fault, fault, person=person, script=SCRIPT) as client:
        assert is_whole(await told(client))
        assert len(await client.tasks()) == 1
        [conversation] = await client.conversations()
        assert conversation.turns == 1


async def test_retry_after_is_waited_for_and_who_asks_is_told(
    client_of: ClientMaker, waits: list[float]
) -> None:
    heard: list[tuple[str, float]] = []
    limited = httpx2.Response(
        429, json={"error_code": "rate_limited", "error": "Later."}, headers={"Retry-After": "7"}
    )
    lost = httpx2.ConnectError("nobody is there")
    async with client_of(
        limited, lost, lost, on_retry=lambda error, wait_s: heard.append((error.code, wait_s))
    ) as client:
        await client.send("Hello")
    assert waits[0] == 7
    # Those that nobody names grow.
    assert all(wait < 2 for wait in waits[1:])
    assert [code for code, _ in heard] == ["rate_limited", "connection_lost", "connection_lost"]
    assert [wait for _, wait in heard] == waits


async def test_patience_ends_with_what_went_wrong(client_of: ClientMaker) -> None:
    limited = httpx2.Response(
        429, json={"error_code": "rate_limited", "error": "Later."}, headers={"Retry-After": "3600"}
    )
    async with client_of(limited) as client:
        with pytest.raises(taskchat_client.RateLimited) as caught:
            await client.send("Hello")
        assert caught.value.retry_after_s == 3600
        assert len(requests_of(client)) == 1
    async with client_of(httpx2.ConnectError("nobody is there"), patience_s=0) as client:
        with pytest.raises(taskchat_client.ConnectionLost, match="nobody is there"):
            await client.send("Hello")


async def test_patience_is_renewed_by_every_event(monkeypatch: pytest.MonkeyPatch) -> None:
    # A service that breaks every connection is slow, and gets there.
    now = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(patience, "sleep", sleep)
    monkeypatch.setattr(patience, "monotonic", lambda: now)
    kept = Patience(10, None)

    async def lose(*, renewed: bool) -> None:
        for _ in range(200):
            await kept.wait(taskchat_client.ConnectionLost("gone"))
            if renewed:
                kept.renew()

    await lose(renewed=True)
    assert now > 20
    now = 0.0
    with pytest.raises(taskchat_client.ConnectionLost):
        await lose(renewed=False)
    # Its waits double and vary by half: the last one that fits ends somewhere in here.
    assert 3 < now <= 10


async def test_a_turn_whose_events_are_gone_is_told_by_its_end(client_of: ClientMaker) -> None:
    person = Person()
    async with client_of(person=person) as client:
        events = await told(client, "Hello")
    end = events[-1].model_dump_json()
    pruned = httpx2.Response(
        200,
        text=f"event: turn_completed\ndata: {end}\nid: {events[-1].seq}\n\n",
        headers={"Content-Type": "text/event-stream"},
    )
    async with client_of(pruned, person=person) as client:
        assert [event async for event in client.follow(events[0].turn_id)] == events[-1:]


async def test_an_event_that_is_left_out_is_asked_for(client_of: ClientMaker) -> None:
    async with client_of(script=SCRIPT) as client:
        events = await told(client)
        gap = httpx2.Response(
            200,
            text="".join(
                f"data: {event.model_dump_json()}\n\n" for event in (events[0], events[2])
            ),
            headers={"Content-Type": "text/event-stream"},
        )
        client._connection._http._transport._faults = iter([gap])  # type: ignore[attr-defined]
        assert [event async for event in client.follow(events[0].turn_id)] == events


async def test_what_is_no_event_is_an_unexpected_answer(client_of: ClientMaker) -> None:
    strange = httpx2.Response(
        200, text="data: hello\n\n", headers={"Content-Type": "text/event-stream"}
    )
    async with client_of(strange) as client:
        with pytest.raises(taskchat_client.UnexpectedAnswer):
            await told(client)


async def test_a_stream_that_is_left_stops_nothing(client_of: ClientMaker) -> None:
    person = Person()
    async with client_of(WHOLE, person=person, script=SCRIPT) as client:
        events = client.stream("What do I need?")
        first = await anext(events)
        await events.aclose()
        answer = await client.wait(first.turn_id)
        assert answer.response == "Milk is on the list."

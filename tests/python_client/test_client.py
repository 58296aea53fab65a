"""Everything else that the client asks for, and how it tells what went wrong."""

import asyncio
import json
from pathlib import Path
from typing import Any, get_args

import httpx2
import pytest
from pydantic import BaseModel
from tests.conftest import AppMaker
from tests.factories import Person
from tests.live.served import Speaker, served
from tests.python_client.conftest import AnswerLost, ClientMaker, requests_of

import taskchat_client
from taskchat_client import Client, SyncClient, connection, models

DELETING = [
    {
        "call": [
            {"tool": "delete_task", "arguments": {"task_id": 1}},
            {"tool": "delete_task", "arguments": {"task_id": 2}},
        ]
    },
    {"say": "So be it."},
]
"""Deleting more than one task in a turn needs its user's yes."""


# --- the contract ---


@pytest.fixture(scope="module")
def schemas(project: Path) -> dict[str, Any]:
    contract = json.loads((project / "contracts/chat-endpoint.json").read_text(encoding="utf-8"))
    found: dict[str, Any] = contract["components"]["schemas"]
    return found


def test_every_event_of_the_contract_is_known_with_every_field(schemas: dict[str, Any]) -> None:
    told = {
        schema["properties"]["type"]["const"]: schema["properties"].keys()
        for name, schema in schemas.items()
        if {"seq", "turn_id"} <= schema.get("properties", {}).keys() and name != "Event"
    }
    known = {
        get_args(kind.model_fields["type"].annotation)[0]: kind.model_fields.keys()
        for kind in taskchat_client.Event.__subclasses__()
    }
    assert len(told) > 10
    assert known == told


@pytest.mark.parametrize(
    ("kind", "schema", "left_out"),
    [
        (models.ToolCall, "ToolCallOut", set()),
        (models.Rating, "RatingOut", set()),
        (models.Message, "ListedMessage", set()),
        (models.Answer, "ChatAnswer", {"status"}),
        (models.Conversation, "ConversationOut", set()),
        (models.Task, "TaskOut", set()),
        (models.AskedCall, "AskedCallOut", set()),
        (models.Feedback, "FeedbackOut", set()),
        (models.ListedTurn, "ListedTurn", set()),
        (models.Turn, "TurnOut", {"steered", "model_calls", "cost"}),
        (models.Steered, "SteerAnswer", {"status"}),
        (models.Usage, "Usage", set()),
    ],
)
def test_what_is_answered_has_the_fields_of_the_contract(
    kind: type[BaseModel], schema: str, left_out: set[str], schemas: dict[str, Any]
) -> None:
    assert kind.model_fields.keys() == schemas[schema]["properties"].keys() - left_out


def test_an_event_of_a_later_release_is_passed_on() -> None:
    fields = {"type": "dreamt", "turn_id": "t", "conversation_id": "c", "seq": 1, "of": "sheep"}
    event = taskchat_client.events.event_of({**fields, "timestamp": "2026-11-27T00:00:00Z"})
    assert type(event) is taskchat_client.Event
    assert event.model_extra == {"of": "sheep"}


# --- what is asked for ---


async def test_what_was_said_and_done_is_listed(
    client_of: ClientMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PAGE_MAX", 3)
    async with client_of() as user:
        first = await user.send("Add task: Milk")
        assert first.tool_calls[0].result["title"] == "Milk"
        for title in ("Bread", "Eggs", "Salt"):
            answer = await user.send(f"Add task: {title}", conversation_id=first.conversation_id)
            assert answer.conversation_id == first.conversation_id
        other = await user.send("Hello")
        listed = await user.conversations()
        assert [found.id for found in listed] == [other.conversation_id, first.conversation_id]
        assert [found.id for found in await user.conversations(newest=1)] == [other.conversation_id]
        assert (await user.conversation(first.conversation_id)).turns == 4
        assert [task.title for task in await user.tasks()] == ["Milk", "Bread", "Eggs", "Salt"]
        assert await user.tasks(status="completed") == []
        said = await user.messages(first.conversation_id, newest=None)
        assert [message.role for message in said] == ["user", "assistant"] * 4
        assert said[0].content == "Add task: Milk"
        assert await user.messages(first.conversation_id, newest=5) == said[-5:]
        turns = await user.turns(first.conversation_id, status="completed")
        assert [turn.number for turn in turns] == [1, 2, 3, 4]
        turn = await user.turn(first.turn_id)
        assert (turn.status, turn.reply) == ("completed", first.response)


async def test_the_same_key_is_the_same_turn(client_of: ClientMaker) -> None:
    person = Person()
    async with client_of(person=person) as user:
        first = await user.send("Add task: Once", idempotency_key="a key")
        assert await user.send("Add task: Once", idempotency_key="a key") == first
        assert len(await user.tasks()) == 1
        with pytest.raises(taskchat_client.Refused) as caught:
            await user.send("Add task: Twice", idempotency_key="a key")
        assert caught.value.code == "idempotency_mismatch"


async def two_tasks(user: Client) -> None:
    for title in ("Milk", "Bread"):
        await user.send(f"Add task: {title}")


@pytest.mark.parametrize(("said", "left"), [("approve", 0), ("reject", 2)])
async def test_what_the_agent_asks_is_answered_and_the_reply_waited_for(
    client_of: ClientMaker, said: str, left: int
) -> None:
    person = Person()
    async with client_of(person=person) as user:
        await two_tasks(user)
    async with client_of(person=person, script=DELETING) as user:
        with pytest.raises(taskchat_client.AwaitingFeedback) as caught:
            await user.send("Away with them")
        request = caught.value.request
        assert request.kind == "approval"
        assert [call.subject for call in request.calls] == ["Milk", "Bread"]
        [open_one] = await user.feedback(status="open")
        assert open_one.id == request.feedback_id
        given = await user.answer(request.feedback_id, said, comment="Quick.")
        assert (given.answer, given.comment) == (said, "Quick.")
        answer = await user.wait(request.turn_id, after=request.seq)
        assert answer.response == "So be it."
        assert len(await user.tasks()) == left


@pytest.mark.usefixtures("waits")
async def test_an_answer_that_was_lost_on_its_way_back_has_been_given(
    client_of: ClientMaker,
) -> None:
    person = Person()
    async with client_of(person=person) as user:
        await two_tasks(user)
    async with client_of(person=person, script=DELETING) as user:
        with pytest.raises(taskchat_client.AwaitingFeedback) as caught:
            await user.send("Away with them")
    request = caught.value.request
    async with client_of(AnswerLost("!"), person=person) as user:
        assert (await user.answer(request.feedback_id, "reject")).status == "rejected"
        assert len(requests_of(user)) == 3
        with pytest.raises(taskchat_client.Conflict) as closed:
            await user.answer(request.feedback_id, "approve")
        assert closed.value.code == "feedback_closed"


async def test_a_turn_is_steered_and_stopped_while_it_runs(running_app: AppMaker) -> None:
    speaker = Speaker("One", ", two", ", three.")
    person = Person()
    token = person.headers["Authorization"].removeprefix("Bearer ")
    async with (
        running_app(chain=speaker.chain) as running,
        served(running) as url,
        Client(url, token) as user,
    ):
        events = user.stream("Count")
        started = await anext(events)
        speaker.let(1)
        await speaker.speaking.wait()
        steered = await user.steer(started.turn_id, "Slower")
        assert (steered.steered, steered.turn_id) == (True, started.turn_id)
        stopped = await user.cancel(started.turn_id)
        assert stopped.status == "cancelled"
        assert (await user.cancel(started.turn_id)).status == "cancelled", "as good as stopped"
        with pytest.raises(taskchat_client.TurnCancelled) as caught:
            async for _ in events:
                pass
        assert caught.value.turn_id == started.turn_id
        await events.aclose()


async def test_a_turn_that_is_over_is_neither_stopped_nor_steered(client_of: ClientMaker) -> None:
    async with client_of() as user:
        answer = await user.send("Hello")
        with pytest.raises(taskchat_client.Conflict) as caught:
            await user.cancel(answer.turn_id)
        assert caught.value.code == "turn_not_cancellable"
        steered = await user.steer(answer.turn_id, "Add task: Milk")
        assert not steered.steered
        following = await user.wait(steered.turn_id)
        assert following.conversation_id == answer.conversation_id
        assert [task.title for task in await user.tasks()] == ["Milk"]


# --- what goes wrong ---


async def test_a_turn_that_fails_says_so_and_is_not_tried_again(client_of: ClientMaker) -> None:
    async with client_of(script=[{"fail": 400}]) as user:
        with pytest.raises(taskchat_client.TurnFailed) as caught:
            await user.send("Hello")
        assert caught.value.code == "model_error"
        assert caught.value.message
        assert caught.value.request_id
        assert (await user.turn(str(caught.value.turn_id))).status == "failed"
        assert len(requests_of(user)) == 2


NOWHERE = "0199f3a0-0000-7000-8000-000000000000"


async def test_refusals_have_types_codes_and_request_ids(client_of: ClientMaker) -> None:
    async with client_of() as user:
        for kind, code, work in (
            (taskchat_client.InvalidRequest, "invalid_request", user.send("")),
            (taskchat_client.NotFound, "not_found", user.turn(NOWHERE)),
            (taskchat_client.NotFound, "not_found", user.wait(NOWHERE)),
            (taskchat_client.NotFound, "not_found", user.send("Hi", conversation_id=NOWHERE)),
        ):
            with pytest.raises(kind) as caught:
                await work
            assert caught.value.code == code
            assert caught.value.request_id
            assert str(caught.value) == caught.value.message
        assert len(requests_of(user)) == 4


async def test_anothers_things_are_neither_read_nor_told(
    client_of: ClientMaker, service: str
) -> None:
    async with client_of() as user:
        answer = await user.send("Hello")
    async with client_of() as other:
        for work in (
            other.wait(answer.turn_id),
            other.messages(answer.conversation_id),
            other.cancel(answer.turn_id),
        ):
            with pytest.raises(taskchat_client.NotFound):
                await work
    token = Person().headers["Authorization"].removeprefix("Bearer ")
    async with Client(service, token, user_id="somebody/else?") as other:
        with pytest.raises(taskchat_client.Refused):
            await other.tasks()
    async with Client(service, token, user_id="somebody else") as other:
        with pytest.raises(taskchat_client.Forbidden):
            await other.tasks()
    async with Client(service, "no-token", user_id="somebody") as other:
        with pytest.raises(taskchat_client.InvalidAuth):
            await other.tasks()


@pytest.mark.parametrize("body", ["[]", "<html>", '{"data": [{"id": "none"}]}'])
async def test_an_answer_of_something_else_is_unexpected(client_of: ClientMaker, body: str) -> None:
    async with client_of(httpx2.Response(200, text=body)) as user:
        with pytest.raises(taskchat_client.UnexpectedAnswer):
            await user.tasks()
    async with client_of(httpx2.Response(302, headers={"Location": "/login"})) as user:
        with pytest.raises(taskchat_client.UnexpectedAnswer):
            await user.tasks()


def test_what_is_no_address_or_no_token_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="begins with http"):
        Client("127.0.0.1:8000", "token", "user")
    with pytest.raises(ValueError, match="one word"):
        Client("http://127.0.0.1:8000", "to\nken", "user")
    for token in ("token", "a.b.c", "a.e30.c"):
        with pytest.raises(ValueError, match="give a user_id"):
            Client("http://127.0.0.1:8000", token)


async def test_a_token_may_change_between_requests(service: str) -> None:
    person = Person()
    good = person.headers["Authorization"].removeprefix("Bearer ")
    tokens = iter([good, "spent", good])
    async with Client(service, lambda: next(tokens)) as user:
        assert user.user_id == person.user_id
        with pytest.raises(taskchat_client.InvalidAuth):
            await user.tasks()
        assert await user.tasks() == []


# --- without an event loop ---


async def test_the_same_without_an_event_loop(service: str) -> None:
    token = Person().headers["Authorization"].removeprefix("Bearer ")

    def use() -> None:
        with SyncClient(service, token) as user:
            events = list(user.stream("Add task: Milk"))
            assert [event.seq for event in events] == list(range(1, len(events) + 1))
            assert isinstance(events[-1], taskchat_client.TurnCompleted)
            conversation = events[-1].conversation_id
            assert user.send("Hello", conversation_id=conversation).conversation_id == conversation
            assert [task.title for task in user.tasks()] == ["Milk"]
            assert len(user.messages(conversation)) == 4
            assert user.conversation(conversation).turns == 2
            assert len(user.conversations()) == 1
            assert len(user.turns(conversation)) == 2
            assert user.feedback() == []
            # One that is left in the middle holds nothing up.
            for event in user.stream("Hello"):
                answer = user.wait(event.turn_id)
                break
            assert list(user.follow(answer.turn_id))[-1].turn_id == answer.turn_id
            assert user.turn(answer.turn_id).status == "completed"
            for ended in (user.cancel,):
                with pytest.raises(taskchat_client.Conflict):
                    ended(answer.turn_id)
            assert not user.steer(answer.turn_id, "Hello again").steered
            with pytest.raises(taskchat_client.NotFound):
                user.answer(NOWHERE, "approve")
        user.close()

    await asyncio.to_thread(use)


def test_both_forms_can_do_the_same() -> None:
    def public(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    assert public(Client) - {"aclose"} == public(SyncClient) - {"close"}

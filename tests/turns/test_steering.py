"""Saying something to a turn that is unfinished: its run reads it once, with its next call."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from agents.testing import ModelCall, ModelStep, ScriptedModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person, calls_tool, says
from tests.live.served import Speaker, posting, served, socket
from tests.portability.data import exported, imported
from tests.sharing.links import link_to, read_by
from tests.turns.test_versions import UNKNOWN, UNLIMITED, heard

from taskchat.assistant.models.asking import NamedModel
from taskchat.turns import store
from taskchat.turns.events import EVENT

ADDS = [calls_tool("add_task", {"title": "Milk"}, call_id="call_milk")]


class Scripted:
    """A model that answers step by step, and before a step may have something happen."""

    def __init__(self, *answers: Any) -> None:
        self.given: list[list[str]] = []
        self.inputs: list[list[Any]] = []
        self.answers = list(answers)
        self.failure: AssertionError | None = None
        self.meanwhile: dict[int, Callable[[], Awaitable[object]]] = {}
        self.chain = [NamedModel("scripted", ScriptedModel([ModelStep.respond(self._answer)] * 30))]

    async def _answer(self, call: ModelCall) -> Any:
        self.given.append(heard(call))
        self.inputs.append(list(call.input))
        number = len(self.given)
        if number in self.meanwhile:
            try:
                await self.meanwhile.pop(number)()
            except AssertionError as error:
                # Not the model's failure: the test's.
                self.failure = error
                raise
        answer = self.answers[number - 1] if number <= len(self.answers) else f"reply {number}"
        return says(answer) if isinstance(answer, str) else answer


class Talk:
    """One conversation of one person, whose newest turn can be told more."""

    def __init__(self, running: RunningApp, person: Person | None = None) -> None:
        self.client = running.client
        self.person = person or Person()
        self.id: str | None = None
        self.answers: list[httpx.Response] = []

    async def say(self, message: str, **options: Any) -> dict[str, Any]:
        answer = await self.person.say(self.client, message, conversation_id=self.id, **options)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        self.id = body["conversation_id"]
        return body

    async def get(self, path: str, **params: Any) -> dict[str, Any]:
        answer = await self.client.get(
            f"/api/{self.person.user_id}{path}", params=params, headers=self.person.headers
        )
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def turn_ids(self) -> list[str]:
        """The turns of the newest conversation, in order."""
        conversations = await self.get("/conversations")
        self.id = conversations["data"][0]["id"]
        return [turn["id"] for turn in (await self.get(f"/conversations/{self.id}/turns"))["data"]]

    async def steer(
        self, message: str, *, key: str | None = None, turn_id: str | None = None
    ) -> httpx.Response:
        """Say something to a turn; to the newest one, if none is named."""
        turn_id = turn_id or (await self.turn_ids())[-1]
        answer = await self.client.post(
            f"/api/{self.person.user_id}/turns/{turn_id}/messages",
            json={"message": message},
            headers=self.person.headers | ({"Idempotency-Key": key} if key else {}),
        )
        self.answers.append(answer)
        return answer

    async def messages(self, **params: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (
            await self.get(f"/conversations/{self.id}/messages", **params)
        )["data"]
        return found

    async def texts(self) -> list[str]:
        return [message["content"] for message in await self.messages()]


def refusal_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("error_code")


def steering(talk: Talk, *messages: str) -> Callable[[], Awaitable[None]]:
    """Something to have happen: these are said to the newest turn, one after another."""

    async def said() -> None:
        for message in messages:
            answer = await talk.steer(message)
            assert answer.status_code == 200, answer.text
            assert answer.json()["steered"] is True

    return said


async def test_the_next_model_call_knows_what_was_said_to_a_running_turn(
    running_app: AppMaker,
) -> None:
    model = Scripted(ADDS, "Milk and eggs.")
    async with running_app(chain=model.chain, **UNLIMITED) as running:
        talk = Talk(running)
        model.meanwhile[1] = steering(talk, "And eggs", "And bread")
        done = await talk.say("Add milk")
        told = talk.answers[0].json()
        assert told["turn_id"] == done["turn_id"]
        assert told["conversation_id"] == done["conversation_id"]
        # Behind the call's output, as it was said; and then no more.
        assert model.given == [["Add milk"], ["Add milk", "And eggs", "And bread"]]
        assert [item.get("type") or item["role"] for item in model.inputs[1]] == [
            "user",
            "function_call",
            "function_call_output",
            "user",
            "user",
        ]
        said = ["Add milk", "And eggs", "And bread", "Milk and eggs."]
        assert [message["content"] for message in done["messages"]] == said
        assert await talk.texts() == said
        assert (await talk.messages())[1]["id"] == told["message_id"]
        turn = await talk.get(f"/turns/{done['turn_id']}")
        assert [one["content"] for one in turn["steered"]] == ["And eggs", "And bread"]
        assert (turn["message"], turn["reply"]) == ("Add milk", "Milk and eggs.")


async def test_every_later_call_of_the_run_finds_it_where_it_was_read(
    running_app: AppMaker,
) -> None:
    bread = [calls_tool("add_task", {"title": "Bread"}, call_id="call_bread")]
    model = Scripted(ADDS, bread, "Done.")
    async with running_app(chain=model.chain, **UNLIMITED) as running:
        talk = Talk(running)
        model.meanwhile[1] = steering(talk, "And bread")
        await talk.say("Add milk")
        kinds = [item.get("call_id") or item["content"] for item in model.inputs[2]]
        assert kinds == [
            "Add milk",
            "call_milk",
            "call_milk",
            "And bread",
            "call_bread",
            "call_bread",
        ]
        # So it stands in the history of the next turn.
        await talk.say("Thanks")
        kinds = [item.get("call_id") or item["content"] for item in model.inputs[3]]
        assert kinds[:6] == [
            "Add milk",
            "call_milk",
            "call_milk",
            "And bread",
            "call_bread",
            "call_bread",
        ]
        assert model.given[3] == ["Add milk", "And bread", "Done.", "Thanks"]


async def test_a_reply_that_does_not_know_it_is_dropped_and_given_anew(
    running_app: AppMaker,
) -> None:
    model = Scripted("Hello.", "Hello, and eggs.")
    async with running_app(chain=model.chain, **UNLIMITED) as running:
        talk = Talk(running)
        model.meanwhile[1] = steering(talk, "And eggs")
        done = await talk.say("Hello")
        assert done["response"] == "Hello, and eggs."
        # The draft is in no input; what it cost counts.
        assert model.given == [["Hello"], ["Hello", "And eggs"]]
        assert done["usage"]["model_calls"] == 2
        turn = await talk.get(f"/turns/{done['turn_id']}")
        assert len(turn["model_calls"]) == 2
        assert await talk.texts() == ["Hello", "And eggs", "Hello, and eggs."]


async def events_of(talk: Talk, turn_id: str) -> list[Any]:
    answer = await talk.client.get(
        f"/api/{talk.person.user_id}/turns/{turn_id}/events",
        headers=talk.person.headers | {"Accept": "text/event-stream"},
    )
    assert answer.status_code == 200, answer.text
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    return [EVENT.validate_json(line) for line in lines]


async def test_readers_are_told_when_it_is_read_and_to_forget_the_draft(
    running_app: AppMaker,
) -> None:
    model = Scripted("Hello.", "Hello, and eggs.")
    async with running_app(chain=model.chain, **UNLIMITED) as running:
        talk = Talk(running)
        model.meanwhile[1] = steering(talk, "And eggs")
        answer = await talk.person.say(talk.client, "Hello", key="k")
        events = await events_of(talk, answer.json()["turn_id"])
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        told = [event for event in events if event.type == "user_message"]
        assert [(one.content, str(one.message_id)) for one in told] == [
            ("And eggs", talk.answers[0].json()["message_id"])
        ]
        assert [event.content for event in events if event.type == "assistant"] == [
            "Hello, and eggs."
        ]


async def test_a_message_to_a_turn_that_has_ended_is_a_turn_of_its_own(
    running_app: AppMaker,
) -> None:
    model = Scripted()
    async with running_app(chain=model.chain, **UNLIMITED) as running:
        talk = Talk(running)
        first = await talk.say("Hello")
        told = (await talk.steer("And eggs", key="late", turn_id=first["turn_id"])).json()
        assert told["steered"] is False
        assert told["turn_id"] != first["turn_id"]
        assert told["conversation_id"] == first["conversation_id"]
        again = await talk.steer("And eggs", key="late", turn_id=first["turn_id"])
        assert again.json() == told
        assert again.headers["Idempotent-Replayed"] == "true"
        other = await talk.steer("And bread", key="late", turn_id=first["turn_id"])
        assert refusal_of(other) == (422, "idempotency_mismatch")
        await talk.say("Bye")
        assert await talk.texts() == ["Hello", "reply 1", "And eggs", "reply 2", "Bye", "reply 3"]
        assert (await talk.messages())[2]["id"] == told["message_id"]


async def test_the_same_key_is_the_same_message_and_another_body_is_refused(
    running_app: AppMaker,
) -> None:
    model = Scripted()
    async with running_app(chain=model.chain, **UNLIMITED) as running:
        talk = Talk(running)

        async def twice() -> None:
            first = await talk.steer("And eggs", key="k")
            again = await talk.steer("And eggs", key="k")
            assert (first.status_code, again.json()) == (200, first.json())
            assert "Idempotent-Replayed" not in first.headers
            assert again.headers["Idempotent-Replayed"] == "true"
            assert refusal_of(await talk.steer("And bread", key="k")) == (
                422,
                "idempotency_mismatch",
            )
            # A key is used once, for one or the other.
            begin = await talk.person.say(talk.client, "And eggs", conversation_id=talk.id, key="k")
            assert refusal_of(begin) == (422, "idempotency_mismatch")
            assert refusal_of(await talk.steer("Hello", key="begin")) == (
                422,
                "idempotency_mismatch",
            )

        model.meanwhile[1] = twice
        await talk.say("Hello", key="begin")
        assert model.given == [["Hello"], ["Hello", "And eggs"]]
        # Also once the turn is over.
        again = await talk.steer("And eggs", key="k", turn_id=talk.answers[0].json()["turn_id"])
        assert again.json() == talk.answers[0].json()


async def test_repeats_at_once_are_one_message(running_app: AppMaker) -> None:
    model = Scripted()
    async with running_app(chain=model.chain, **UNLIMITED) as running:
        talk = Talk(running)

        async def at_once() -> None:
            answers = await asyncio.gather(*(talk.steer("And eggs", key="k") for _ in range(8)))
            assert {answer.status_code for answer in answers} == {200}
            assert len({answer.json()["message_id"] for answer in answers}) == 1

        model.meanwhile[1] = at_once
        await talk.say("Hello")
        assert model.given[-1] == ["Hello", "And eggs"]


async def test_one_turn_is_told_no_more_than_the_limit(running_app: AppMaker) -> None:
    model = Scripted()
    async with running_app(chain=model.chain, steering_max=2, **UNLIMITED) as running:
        talk = Talk(running)

        async def too_much() -> None:
            await steering(talk, "one", "two")()
            assert refusal_of(await talk.steer("three")) == (409, "too_many_steering")

        model.meanwhile[1] = too_much
        await talk.say("Hello")
        assert await talk.texts() == ["Hello", "one", "two", "reply 2"]


async def test_it_counts_against_the_rate_limits_as_a_message_does(running_app: AppMaker) -> None:
    model = Scripted()
    async with running_app(chain=model.chain, rate_user_per_minute=2) as running:
        talk = Talk(running)

        async def limited() -> None:
            first = await talk.steer("one")
            assert first.headers["X-RateLimit-Remaining"] == "0"
            refused = await talk.steer("two")
            assert refusal_of(refused) == (429, "rate_limited")
            assert int(refused.headers["Retry-After"]) > 0

        model.meanwhile[1] = limited
        await talk.say("Hello")
        assert await talk.texts() == ["Hello", "one", "reply 2"]


async def test_a_turn_that_may_ask_no_model_again_fails_and_keeps_what_was_said(
    running_app: AppMaker,
) -> None:
    model = Scripted()
    async with running_app(chain=model.chain, model_calls_max=1, **UNLIMITED) as running:
        talk = Talk(running)
        model.meanwhile[1] = steering(talk, "And eggs")
        answer = await talk.person.say(talk.client, "Hello")
        assert refusal_of(answer) == (502, "model_error")
        assert await talk.texts() == ["Hello", "And eggs"]
        await talk.say("Bye")
        assert model.given[1][:2] == ["Hello", "And eggs"]
        assert model.given[1][-1] == "Bye"
        assert len(model.given[1]) == 4


async def test_a_cancelled_turn_takes_what_it_has_not_read_with_it(running_app: AppMaker) -> None:
    model = Scripted()
    async with running_app(chain=model.chain, **UNLIMITED) as running:
        talk = Talk(running)

        async def cancelled() -> None:
            await steering(talk, "And eggs")()
            turn_id = talk.answers[0].json()["turn_id"]
            await talk.client.post(
                f"/api/{talk.person.user_id}/turns/{turn_id}/cancel", headers=talk.person.headers
            )

        model.meanwhile[1] = cancelled
        answer = await talk.person.say(talk.client, "Hello")
        assert refusal_of(answer) == (409, "turn_cancelled")
        await talk.say("Bye")
        assert model.given[-1][:2] == ["Hello", "And eggs"]
        assert await talk.texts() == ["Hello", "And eggs", "Bye", "reply 2"]


async def test_a_turn_that_waits_in_line_reads_it_with_its_first_call(
    running_app: AppMaker,
) -> None:
    model = Scripted()
    async with running_app(chain=model.chain, **UNLIMITED) as running:
        talk = Talk(running)
        queued: list[asyncio.Task[dict[str, Any]]] = []

        async def to_the_queued() -> None:
            await talk.turn_ids()
            queued.append(asyncio.create_task(talk.say("Second")))
            async with asyncio.timeout(30):
                while len(await talk.turn_ids()) < 2:
                    await asyncio.sleep(0.01)
            await steering(talk, "And eggs")()

        model.meanwhile[1] = to_the_queued
        await talk.say("First")
        done = await queued[0]
        assert model.given[-1] == ["First", "reply 1", "Second", "And eggs"]
        assert len(model.given) == 2
        assert [message["content"] for message in done["messages"]][2:] == [
            "Second",
            "And eggs",
            "reply 2",
        ]


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_pages_show_each_message_once_in_order(running_app: AppMaker, limit: int) -> None:
    model = Scripted(ADDS)
    async with running_app(chain=model.chain, **UNLIMITED) as running:
        talk = Talk(running)
        model.meanwhile[1] = steering(talk, "one", "two")
        await talk.say("Hello")
        await talk.say("Bye")
        expected = await talk.texts()
        assert expected == ["Hello", "one", "two", "reply 2", "Bye", "reply 3"]
        whole = await talk.messages()
        # The calls stand with the reply.
        assert [len(message["tool_calls"]) for message in whole] == [0, 0, 0, 1, 0, 0]
        for backwards in (False, True):
            found: list[list[str]] = []
            params: dict[str, Any] = {"limit": limit} | ({"before": "end"} if backwards else {})
            while True:
                page = await talk.get(f"/conversations/{talk.id}/messages", **params)
                found.append([message["content"] for message in page["data"]])
                if not page["has_more"]:
                    break
                params["before" if backwards else "after"] = page["next_cursor"]
            pages = found[::-1] if backwards else found
            assert [text_ for page_ in pages for text_ in page_] == expected


async def test_what_was_said_to_a_turn_has_no_versions_and_can_not_be_edited(
    running_app: AppMaker,
) -> None:
    model = Scripted()
    async with running_app(chain=model.chain, **UNLIMITED) as running:
        talk = Talk(running)
        model.meanwhile[1] = steering(talk, "And eggs")
        await talk.say("Hello")
        _, said, _ = await talk.messages()
        base = f"/api/{talk.person.user_id}/messages/{said['id']}"
        edited = await talk.client.put(
            base, json={"message": "And ham"}, headers=talk.person.headers
        )
        assert refusal_of(edited) == (400, "invalid_request")
        assert "while a turn ran" in edited.json()["error"]
        # To regenerate it is to regenerate its turn, which then is told nothing but its message.
        again = await talk.client.post(f"{base}/regenerate", headers=talk.person.headers)
        assert again.status_code == 200, again.text
        assert model.given[-1] == ["Hello"]
        shown = await talk.messages()
        assert [message["content"] for message in shown] == ["Hello", "reply 3"]


@pytest.mark.parametrize("body", [{}, {"message": "  "}, {"message": 1}, {"message": "a", "b": 1}])
async def test_a_body_that_does_not_fit_is_refused(
    running_app: AppMaker, body: dict[str, Any]
) -> None:
    async with running_app(chain=Scripted().chain, **UNLIMITED) as running:
        talk = Talk(running)
        done = await talk.say("Hello")
        answer = await talk.client.post(
            f"/api/{talk.person.user_id}/turns/{done['turn_id']}/messages",
            json=body,
            headers=talk.person.headers,
        )
        assert refusal_of(answer) == (400, "invalid_request")


async def test_nobody_can_say_anything_to_a_turn_of_somebody_else(running_app: AppMaker) -> None:
    model = Scripted()
    async with running_app(chain=model.chain, **UNLIMITED) as running:
        talk, stranger = Talk(running), Talk(running)

        async def strange() -> None:
            [turn_id] = await talk.turn_ids()
            refused = await stranger.steer("And eggs", turn_id=turn_id)
            unknown = await stranger.steer("And eggs", turn_id=UNKNOWN)
            assert refusal_of(refused) == refusal_of(unknown) == (404, "not_found")

        model.meanwhile[1] = strange
        await talk.say("Hello")
        assert model.given == [["Hello"]]


async def test_a_run_that_never_heard_of_it_is_told_by_its_own_end(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    # As if another process had taken it, and its notification were lost.
    model = Scripted()
    async with running_app(chain=model.chain, **UNLIMITED) as running:
        talk = Talk(running)

        async def unheard() -> None:
            [turn_id] = await talk.turn_ids()
            async with superuser.begin() as connection:
                await connection.execute(
                    text(
                        "SELECT turn_steer_1(:owner, :turn, owner, NULL, NULL, gen_random_uuid(),"
                        " 'And eggs', now(), '{}', '{}', '{}', 20) FROM turns WHERE id = :turn"
                    ),
                    {"owner": talk.person.user_id, "turn": turn_id},
                )

        model.meanwhile[1] = unheard
        await talk.say("Hello")
        assert model.given == [["Hello"], ["Hello", "And eggs"]]


async def test_on_a_stream_the_draft_is_dropped_before_it_is_told_to_be_whole(
    running_app: AppMaker,
) -> None:
    model = Speaker("One, ", "two.")
    async with running_app(chain=model.chain, **UNLIMITED) as running, served(running) as url:
        talk = Talk(running)
        async with posting(url, talk.person, "Count") as source:
            model.let(1)
            await model.speaking.wait()
            assert (await talk.steer("And on")).json()["steered"] is True
            model.let(2)
            model.let()
            events = await source.rest()
        ends = [event.fields["dropped"] for event in events if event.type == "stream_end"]
        assert ends == [True, False]
        types = [event.type for event in events]
        first = types.index("stream_end")
        assert types[first : first + 3] == ["stream_end", "openai_response", "user_message"]
        assert [event.fields["content"] for event in events if event.type == "assistant"] == [
            "One, two."
        ]
        assert [event.id for event in events] == list(range(1, len(events) + 1))


async def test_what_was_read_of_a_stopped_reply_stands_behind_what_was_said(
    running_app: AppMaker,
) -> None:
    model = Speaker("One, ", "two.")
    async with running_app(chain=model.chain, **UNLIMITED) as running, served(running) as url:
        talk = Talk(running)
        async with posting(url, talk.person, "Count") as source:
            model.let(1)
            seen = await source.until("stream_chunk")
            await talk.steer("And on")
            path = f"/api/{talk.person.user_id}/turns/{seen[0].fields['turn_id']}/cancel"
            assert (await talk.client.post(path, headers=talk.person.headers)).status_code == 200
            assert (await source.rest())[-1].type == "error"
        assert await talk.texts() == ["Count", "And on", "One,"]
        assert [message["interrupted"] for message in await talk.messages()] == [False, False, True]
        turn = await talk.get(f"/turns/{seen[0].fields['turn_id']}")
        assert (turn["reply"], turn["steered"][0]["content"]) == ("One,", "And on")


async def test_a_socket_steers_too(running_app: AppMaker) -> None:
    model = Speaker("One, ", "two.")
    async with running_app(chain=model.chain, **UNLIMITED) as running, served(running) as url:
        person = Person()
        async with socket(url, person) as there:
            model.let(1)
            await there.send("message", content="Count")
            turn_id = (await there.until("stream_start"))[-1]["turn_id"]
            await there.send("steer", id="s", turn_id=turn_id, content="And on")
            told = (await there.until("steered"))[-1]
            assert (told["reply_to"], told["steered"], told["turn_id"]) == ("s", True, turn_id)
            model.let(2)
            read = (await there.until("user_message"))[-1]
            assert (read["content"], read["message_id"]) == ("And on", told["message_id"])
            model.let()
            await there.until("turn_completed")
            # Now it is over: the next one begins a turn, which the socket is told of as of any.
            late = {"turn_id": turn_id, "content": "Again", "idempotency_key": "k"}
            model.let()
            await there.send("steer", id="t", **late)
            begun = (await there.until("steered"))[-1]
            assert (begun["reply_to"], begun["steered"]) == ("t", False)
            assert begun["turn_id"] != turn_id
            done = (await there.until("turn_completed"))[-1]
            assert done["turn_id"] == begun["turn_id"]
            await there.send("steer", id="u", **{**late, "content": "Other"})
            refused = (await there.until("error"))[-1]
            assert (refused["code"], refused["reply_to"]) == ("IDEMPOTENCY_MISMATCH", "u")
            await there.send("steer", id="v", turn_id=UNKNOWN, content="x")
            assert (await there.until("error"))[-1]["code"] == "NOT_FOUND"


async def test_it_is_exported_and_comes_back_where_it_was_read(running_app: AppMaker) -> None:
    model = Scripted(ADDS, "Done.", "Hello.")
    async with running_app(chain=model.chain, **UNLIMITED) as running:
        talk = Talk(running)
        model.meanwhile[1] = steering(talk, "And eggs")
        await talk.say("Add milk")

        async def cancelled() -> None:
            await steering(talk, "Stop")()
            turn_id = talk.answers[-1].json()["turn_id"]
            await talk.client.post(
                f"/api/{talk.person.user_id}/turns/{turn_id}/cancel", headers=talk.person.headers
            )

        model.meanwhile[3] = cancelled
        await talk.person.say(talk.client, "More", conversation_id=talk.id)
        lines = await exported(talk.client, talk.person)
        turns = [line for line in lines if line["type"] == "turn"]
        assert [
            [(one["content"], one["read_after_calls"]) for one in turn["steered"]] for turn in turns
        ] == [[("And eggs", 1)], [("Stop", None)]]
        before = await talk.texts()
        path = f"/api/{talk.person.user_id}"
        shown = await talk.client.get(
            f"{path}/export", params={"format": "markdown"}, headers=talk.person.headers
        )
        assert shown.text.count("(while it ran)") == 2
        await talk.client.delete(path, headers=talk.person.headers)
        await imported(talk.client, talk.person, lines)
        await talk.turn_ids()
        assert await talk.texts() == before == ["Add milk", "And eggs", "Done.", "More", "Stop"]
        await talk.say("Thanks")
        kinds = [item.get("call_id") or item["content"] for item in model.inputs[-1]]
        assert kinds[:5] == ["Add milk", "call_milk", "call_milk", "And eggs", "Done."]
        assert kinds[5:7] == ["More", "Stop"]
        again = [
            line for line in await exported(talk.client, talk.person) if line["type"] == "turn"
        ]
        assert [
            [(one["content"], one["read_after_calls"]) for one in turn["steered"]]
            for turn in again[:2]
        ] == [[("And eggs", 1)], [("Stop", None)]]


async def test_a_link_shows_it_in_its_place(running_app: AppMaker) -> None:
    model = Scripted(ADDS)
    async with running_app(chain=model.chain, **UNLIMITED) as running:
        talk = Talk(running)
        model.meanwhile[1] = steering(talk, "one", "two")
        await talk.say("Hello")
        link = await link_to(talk.client, talk.person, str(talk.id), with_tool_calls=True)
        expected = ["Hello", "one", "two", "reply 2"]
        token = link["token"]
        whole = await read_by(talk.client, token)
        assert [message["content"] for message in whole["data"]] == expected
        assert [len(message["tool_calls"]) for message in whole["data"]] == [0, 0, 0, 1]
        first = await read_by(talk.client, token, limit=2)
        rest = await read_by(talk.client, token, limit=2, after=first["next_cursor"])
        assert [message["content"] for message in (*first["data"], *rest["data"])] == expected


async def test_the_key_is_forgotten_some_time_after_the_turn(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    model = Scripted()
    async with running_app(chain=model.chain, **UNLIMITED) as running:
        talk = Talk(running)

        async def with_key() -> None:
            await talk.steer("And eggs", key="k")

        model.meanwhile[1] = with_key
        turn_id = (await talk.say("Hello"))["turn_id"]
        owner = {"owner": talk.person.user_id}
        for hours, left in ((1, 1), (3, 0)):
            async with superuser.begin() as connection:
                await connection.execute(
                    text(
                        "UPDATE turns SET finished_at = now() - make_interval(hours => :hours)"
                        " WHERE user_id = :owner"
                    ),
                    {**owner, "hours": hours},
                )
            async with running.live.database.system_transaction() as system:
                await store.steering.forget_keys(system, retention_h=2, rows_max=1000)
            async with superuser.connect() as connection:
                kept = await connection.scalar(
                    text(
                        "SELECT count(*) FROM steering WHERE user_id = :owner"
                        " AND idempotency_key IS NOT NULL AND fingerprint IS NOT NULL"
                    ),
                    owner,
                )
            assert kept == left
        # So it may be used again.
        again = await talk.steer("Other", key="k", turn_id=turn_id)
        assert again.json()["steered"] is False


async def test_the_release_before_is_told_of_it_as_of_one_text(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    model = Scripted(ADDS)
    async with running_app(chain=model.chain, **UNLIMITED) as running:
        talk = Talk(running)
        model.meanwhile[1] = steering(talk, "And eggs", "And bread")
        turn_id = (await talk.say("Add milk"))["turn_id"]
        async with superuser.connect() as connection:
            history = await connection.scalar(
                text("SELECT turn_history_2(:owner, :turn, 99, 9)"),
                {"owner": talk.person.user_id, "turn": turn_id},
            )
        [[number, said, calls, reply, interrupted]] = json.loads(history)
        assert (number, said) == (1, "Add milk\n\nAnd eggs\n\nAnd bread")
        assert (len(calls), reply, interrupted) == (1, "reply 2", False)

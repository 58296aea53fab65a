"""Approvals: a turn that needs the user's yes waits for it, and goes on with what they say."""

import asyncio
import gc
from typing import Any

import httpx
import pytest
from agents.testing import ModelCall, ModelStep, ScriptedModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.answers import error_of
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person, calls_tool, says
from tests.live.served import posting, served, socket

from taskchat.assistant.models.asking import NamedModel
from taskchat.errors import DatabaseError
from taskchat.feedback import repository
from taskchat.turns.events import EVENT
from taskchat.turns.feedback import sweep_feedback


def outputs(call: ModelCall) -> list[str]:
    """What the model was told of its calls."""
    return [item["output"] for item in call.input if item.get("type") == "function_call_output"]


class Deleting:
    """A model that deletes some tasks if it is told to, and repeats what its calls came to."""

    def __init__(self, *numbers: int) -> None:
        self.told: list[list[str]] = []
        self.numbers = numbers
        self.chain = [NamedModel("scripted", ScriptedModel([ModelStep.respond(self._answer)] * 30))]

    async def _answer(self, call: ModelCall) -> Any:
        last = call.input[-1]
        if last.get("role") == "user" and str(last["content"]).startswith("Delete"):
            return [calls_tool("delete_task", {"task_id": number}) for number in self.numbers]
        self.told.append(outputs(call))
        return says(" / ".join(self.told[-1]) or "nothing")


async def with_tasks(running: RunningApp, *titles: str) -> Person:
    person = Person()
    for title in titles:
        made = await running.client.post(
            f"/api/{person.user_id}/tasks", json={"title": title}, headers=person.headers
        )
        assert made.status_code == 201
    return person


async def titles(running: RunningApp, person: Person) -> list[str]:
    answer = await running.client.get(f"/api/{person.user_id}/tasks", headers=person.headers)
    return [task["title"] for task in answer.json()["data"]]


async def respond(
    running: RunningApp, person: Person, feedback_id: str, **body: Any
) -> httpx.Response:
    return await running.client.post(
        f"/api/{person.user_id}/feedback/{feedback_id}/respond", json=body, headers=person.headers
    )


async def ended(running: RunningApp, person: Person, turn_id: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            answer = await running.client.get(
                f"/api/{person.user_id}/turns/{turn_id}", headers=person.headers
            )
            turn: dict[str, Any] = answer.json()
            if turn["status"] in ("completed", "failed", "cancelled"):
                return turn
            await asyncio.sleep(0.02)


async def test_deleting_more_than_one_task_waits_for_a_yes(running_app: AppMaker) -> None:
    model = Deleting(1, 2)
    async with running_app(chain=model.chain) as running:
        person = await with_tasks(running, "Milk", "Eggs", "Bread")
        asked = await person.say(running.client, "Delete milk and eggs", key="k")
        assert asked.status_code == 202, asked.text
        body = asked.json()
        assert body["status"] == "awaiting_feedback"
        request = body["feedback"]
        assert (request["kind"], request["status"]) == ("approval", "open")
        assert request["question"] == ("May I do this? delete task 1 “Milk”; delete task 2 “Eggs”")
        assert [call["subject"] for call in request["calls"]] == ["Milk", "Eggs"]
        assert await titles(running, person) == ["Milk", "Eggs", "Bread"]
        again = await person.say(running.client, "Delete milk and eggs", key="k")
        assert (again.status_code, again.json()) == (202, body)
        assert again.headers["idempotent-replayed"] == "true"

        answered = await respond(running, person, request["id"], answer="approve")
        assert answered.status_code == 200, answered.text
        assert answered.json()["status"] == "approved"
        turn = await ended(running, person, body["turn_id"])
        assert turn["status"] == "completed", turn
        assert [call["status"] for call in turn["tool_calls"]] == ["completed"] * 2
        assert await titles(running, person) == ["Bread"]
        whole = await person.say(running.client, "Delete milk and eggs", key="k")
        assert whole.status_code == 200
        assert whole.json()["usage"]["model_calls"] == 2


async def asked(running: RunningApp, person: Person, **options: Any) -> dict[str, Any]:
    answer = await person.say(running.client, "Delete milk and eggs", **options)
    assert answer.status_code == 202, answer.text
    request: dict[str, Any] = answer.json()["feedback"]
    return request


async def test_one_deletion_needs_no_yes(running_app: AppMaker) -> None:
    async with running_app(chain=Deleting(1).chain) as running:
        person = await with_tasks(running, "Milk")
        answer = await person.say(running.client, "Delete milk")
        assert answer.status_code == 200
        assert await titles(running, person) == []


async def test_a_refusal_is_told_to_the_model_with_its_comment(running_app: AppMaker) -> None:
    model = Deleting(1, 2)
    async with running_app(chain=model.chain) as running:
        person = await with_tasks(running, "Milk", "Eggs")
        request = await asked(running, person)
        await respond(
            running, person, request["id"], answer="reject", comment="I still need the eggs."
        )
        turn = await ended(running, person, request["turn_id"])
        assert turn["status"] == "completed"
        assert [call["status"] for call in turn["tool_calls"]] == ["failed"] * 2
        assert turn["reply"].count("I still need the eggs.") == 2
        assert await titles(running, person) == ["Milk", "Eggs"]
        [shown] = turn["feedback"]
        assert (shown["status"], shown["answer"], shown["comment"], shown["channel"]) == (
            "rejected",
            "reject",
            "I still need the eggs.",
            "rest",
        )
        # The history of the next turn is as valid as any.
        later = await person.say(
            running.client, "And now?", conversation_id=request["conversation_id"]
        )
        assert later.json()["response"] == turn["reply"]


async def test_arguments_are_edited_and_recorded_as_such(running_app: AppMaker) -> None:
    model = Deleting(1, 2)
    async with running_app(chain=model.chain) as running:
        person = await with_tasks(running, "Milk", "Eggs", "Bread")
        request = await asked(running, person)
        first, second = (call["tool_call_id"] for call in request["calls"])
        calls = {first: {"arguments": {"task_id": 3}}, second: {"answer": "reject"}}
        answer = await respond(running, person, request["id"], answer="approve", calls=calls)
        assert answer.status_code == 200, answer.text
        shown = answer.json()["calls"]
        assert [one["arguments"] for one in shown] == [{"task_id": 1}, {"task_id": 2}]
        assert [one["edited_arguments"] for one in shown] == [{"task_id": 3}, None]
        assert [one["answer"] for one in shown] == ["approve", "reject"]
        turn = await ended(running, person, request["turn_id"])
        assert [call["parameters"] for call in turn["tool_calls"]] == [
            {"task_id": 3},
            {"task_id": 2},
        ]
        assert [call["status"] for call in turn["tool_calls"]] == ["completed", "failed"]
        assert "changed the arguments" in model.told[0][0]
        assert await titles(running, person) == ["Milk", "Eggs"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"answer": "maybe"}, "answer"),
        ({"answer": "approve", "calls": {"01a1fbec-0000-7000-8000-000000000000": {}}}, "calls"),
        ({"answer": "approve", "comment": "x" * 2001}, "comment"),
        ({"answer": "approve", "calls": {"FIRST": {"arguments": {"task_id": "milk"}}}}, "calls"),
        ({"answer": "approve", "calls": {"FIRST": {"arguments": {"user_id": "eve"}}}}, "calls"),
        ({"answer": "reject", "calls": {"FIRST": {"arguments": {"task_id": 3}}}}, "calls"),
        ({"answer": "approve", "calls": {"FIRST": {"comment": "x" * 2001}}}, "calls"),
        ({}, "answer"),
        ({"answer": "approve", "more": 1}, "body"),
    ],
)
async def test_an_answer_that_does_not_fit_changes_nothing(
    running_app: AppMaker, body: dict[str, Any], field: str
) -> None:
    async with running_app(chain=Deleting(1, 2).chain) as running:
        person = await with_tasks(running, "Milk", "Eggs")
        request = await asked(running, person)
        first = request["calls"][0]["tool_call_id"]
        if "calls" in body:
            body = {
                **body,
                "calls": {k.replace("FIRST", first): v for k, v in body["calls"].items()},
            }
        refused = error_of(await respond(running, person, request["id"], **body), 400)
        assert refused["error_code"] == "invalid_request"
        assert [detail["field"] for detail in refused["details"]] == [field]
        still = await running.client.get(
            f"/api/{person.user_id}/feedback/{request['id']}", headers=person.headers
        )
        assert still.json() == request


async def test_of_two_answers_at_once_one_counts(running_app: AppMaker) -> None:
    async with (
        running_app(chain=Deleting(1, 2).chain) as one,
        running_app(chain=Deleting(1, 2).chain) as two,
    ):
        person = await with_tasks(one, "Milk", "Eggs")
        request = await asked(one, person)
        answers = await asyncio.gather(
            *(
                respond(app, person, request["id"], answer=answer)
                for app, answer in (
                    (one, "approve"),
                    (two, "reject"),
                    (one, "reject"),
                    (two, "approve"),
                )
            )
        )
        won = [answer for answer in answers if answer.status_code == 200]
        assert len(won) == 1
        for late in answers:
            if late is not won[0]:
                refused = error_of(late, 409)
                assert refused["error_code"] == "feedback_closed"
                assert refused["details"] == [
                    {"field": "status", "problem": f"is {won[0].json()['status']}"}
                ]
        turn = await ended(one, person, request["turn_id"])
        left = [] if won[0].json()["status"] == "approved" else ["Milk", "Eggs"]
        assert (turn["status"], await titles(one, person)) == ("completed", left)


async def test_what_nobody_answers_in_time_is_told_to_the_model(running_app: AppMaker) -> None:
    model = Deleting(1, 2)
    async with running_app(chain=model.chain, feedback_expires_s=0.001) as running:
        person = await with_tasks(running, "Milk", "Eggs")
        request = await asked(running, person)
        late = await respond(running, person, request["id"], answer="approve")
        assert error_of(late, 409)["details"] == [{"field": "status", "problem": "is expired"}]
        await sweep_feedback(running.turns)
        turn = await ended(running, person, request["turn_id"])
        assert turn["status"] == "completed"
        assert turn["feedback"][0]["status"] == "expired"
        assert "did not answer in time" in turn["reply"]
        assert await titles(running, person) == ["Milk", "Eggs"]


async def test_what_is_asked_is_told_in_events_and_the_stream_goes_on(
    running_app: AppMaker,
) -> None:
    async with running_app(chain=Deleting(1, 2).chain) as running, served(running) as url:
        person = await with_tasks(running, "Milk", "Eggs")
        async with posting(url, person, "Delete both") as source:
            told = [event.fields for event in await source.until("feedback_request")]
            answer = await respond(running, person, told[-1]["feedback_id"], answer="approve")
            assert answer.status_code == 200
            told += [event.fields for event in await source.rest()]
        for event in told:
            EVENT.validate_python(event)
        kinds = [event["type"] for event in told]
        assert [event["seq"] for event in told] == list(range(1, len(told) + 1))
        place = kinds.index("feedback_request")
        assert kinds[place - 3 : place + 2] == [
            "tool_call",
            "tool_call",
            "agent_status",
            "feedback_request",
            "feedback_response",
        ]
        assert told[place - 1]["status"] == "awaiting_feedback"
        assert told[place + 1]["status"] == "approved"
        assert kinds.count("tool_result") == 2
        assert kinds[-1] == "turn_completed"
        assert await titles(running, person) == []


async def test_a_socket_answers_too(running_app: AppMaker) -> None:
    async with running_app(chain=Deleting(1, 2).chain) as running, served(running) as url:
        person = await with_tasks(running, "Milk", "Eggs")
        async with socket(url, person) as there:
            await there.send("message", content="Delete both")
            request = (await there.until("feedback_request"))[-1]
            answer = {"feedback_id": request["feedback_id"]}
            await there.send("feedback_response", id="f", **answer, answer="maybe")
            refused = (await there.until("error"))[-1]
            assert (refused["code"], refused["reply_to"]) == ("INVALID_MESSAGE", "f")
            await there.send("feedback_response", id="g", **answer, answer="reject")
            done = (await there.until("acknowledgment", reply_to="g"))[-1]
            assert done["turn_id"] == request["turn_id"]
            await there.until("turn_completed")
            await there.send("feedback_response", id="h", **answer, answer="approve")
            late = (await there.until("error"))[-1]
            assert (late["code"], late["reply_to"]) == ("FEEDBACK_CLOSED", "h")
        assert await titles(running, person) == ["Milk", "Eggs"]


async def test_a_turn_that_waits_holds_no_job_and_no_lease(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    async with running_app(chain=Deleting(1, 2).chain) as running:
        person = await with_tasks(running, "Milk", "Eggs")
        request = await asked(running, person)
        async with asyncio.timeout(60):
            while len(running.turns.jobs):
                await asyncio.sleep(0.01)
        async with superuser.connect() as connection:
            row = (
                await connection.execute(
                    text("SELECT status, owner, lease_expires_at FROM turns WHERE id = :turn"),
                    {"turn": request["turn_id"]},
                )
            ).one()
        assert tuple(row) == ("awaiting_feedback", None, None)


async def test_a_message_withdraws_what_is_asked(running_app: AppMaker) -> None:
    async with running_app(chain=Deleting(1, 2).chain) as running:
        person = await with_tasks(running, "Milk", "Eggs")
        request = await asked(running, person, key="k")
        conversation = request["conversation_id"]
        other = await person.say(running.client, "What is there?", conversation_id=conversation)
        assert other.status_code == 200, other.text
        turn = await ended(running, person, request["turn_id"])
        assert (turn["status"], turn["feedback"][0]["status"]) == ("cancelled", "withdrawn")
        assert [call["status"] for call in turn["tool_calls"]] == ["interrupted"] * 2
        late = await respond(running, person, request["id"], answer="approve")
        assert error_of(late, 409)["error_code"] == "feedback_closed"
        again = await person.say(running.client, "Delete milk and eggs", key="k")
        assert error_of(again, 409)["error_code"] == "turn_cancelled"
        # The model was told what had been asked, and that it was not answered.
        assert "without answering" in other.json()["response"]


async def test_what_a_message_can_not_withdraw_is_withdrawn_by_a_sweep(
    running_app: AppMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_args: object) -> None:
        tried.set()
        raise DatabaseError(retry_after_s=1)

    tried, unheard = asyncio.Event(), list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda _, told: unheard.append(told))
    monkeypatch.setattr(repository, "passed_over_by", away)
    async with running_app(chain=Deleting(1, 2).chain) as running:
        person = await with_tasks(running, "Milk", "Eggs")
        request = await asked(running, person)
        conversation = request["conversation_id"]
        other = asyncio.create_task(
            person.say(running.client, "What is there?", conversation_id=conversation)
        )
        async with asyncio.timeout(60):
            await tried.wait()
        await sweep_feedback(running.turns)
        assert (await other).status_code == 200
        turn = await ended(running, person, request["turn_id"])
        assert (turn["status"], turn["feedback"][0]["status"]) == ("cancelled", "withdrawn")
    gc.collect()
    assert unheard == []


async def test_a_message_waits_for_the_answer_if_so_configured(running_app: AppMaker) -> None:
    async with running_app(chain=Deleting(1, 2).chain, feedback_new_message="queue") as running:
        person = await with_tasks(running, "Milk", "Eggs")
        request = await asked(running, person)
        conversation = request["conversation_id"]
        waiting = asyncio.create_task(
            person.say(running.client, "And then?", conversation_id=conversation)
        )
        async with asyncio.timeout(60):
            while not (await turns(running, person, conversation))[1:]:
                await asyncio.sleep(0.01)
        await sweep_feedback(running.turns)
        listed = await turns(running, person, conversation)
        assert [turn["status"] for turn in listed] == ["awaiting_feedback", "queued"]
        await respond(running, person, request["id"], answer="reject")
        assert (await waiting).status_code == 200


async def turns(running: RunningApp, person: Person, conversation: str) -> list[dict[str, Any]]:
    answer = await running.client.get(
        f"/api/{person.user_id}/conversations/{conversation}/turns", headers=person.headers
    )
    return list(answer.json()["data"])


async def test_a_message_is_refused_while_something_is_asked_if_so_configured(
    running_app: AppMaker,
) -> None:
    async with running_app(chain=Deleting(1, 2).chain, feedback_new_message="refuse") as running:
        person = await with_tasks(running, "Milk", "Eggs")
        request = await asked(running, person, key="k")
        conversation = request["conversation_id"]
        other = await person.say(running.client, "And then?", conversation_id=conversation)
        refused = error_of(other, 409)
        assert (refused["error_code"], refused["turn_id"]) == (
            "awaiting_feedback",
            request["turn_id"],
        )
        assert len(await turns(running, person, conversation)) == 1
        await respond(running, person, request["id"], answer="reject")
        await ended(running, person, request["turn_id"])
        later = await person.say(running.client, "And then?", conversation_id=conversation)
        assert later.status_code == 200


async def test_what_waits_is_withdrawn_by_a_cancellation(running_app: AppMaker) -> None:
    async with running_app(chain=Deleting(1, 2).chain) as running:
        person = await with_tasks(running, "Milk", "Eggs")
        request = await asked(running, person)
        done = await running.client.post(
            f"/api/{person.user_id}/turns/{request['turn_id']}/cancel", headers=person.headers
        )
        assert done.status_code == 200
        assert done.json()["feedback"][0]["status"] == "withdrawn"
        events = await running.client.get(
            f"/api/{person.user_id}/turns/{request['turn_id']}/events",
            headers=person.headers | {"Accept": "text/event-stream"},
        )
        kinds = [
            line.removeprefix("event: ")
            for line in events.text.splitlines()
            if line.startswith("event: ")
        ]
        assert kinds[-4:] == ["feedback_response", "tool_result", "tool_result", "error"]


async def test_what_is_asked_is_listed_by_pages_and_by_status(running_app: AppMaker) -> None:
    async with running_app(chain=Deleting(1, 2).chain) as running:
        person = await with_tasks(running, "Milk", "Eggs")
        path = f"/api/{person.user_id}/feedback"
        made = [(await asked(running, person))["id"] for _ in range(3)]
        await respond(running, person, made[1], answer="reject")
        seen: list[str] = []
        after: str | None = None
        while True:
            page = await running.client.get(
                path,
                params={"limit": 2, **({"after": after} if after else {})},
                headers=person.headers,
            )
            seen += [one["id"] for one in page.json()["data"]]
            after = page.json()["next_cursor"]
            if after is None:
                break
        assert seen == made[::-1]
        still = await running.client.get(path, params={"status": "open"}, headers=person.headers)
        assert [one["id"] for one in still.json()["data"]] == [made[2], made[0]]
        stranger = Person()
        foreign = await running.client.get(
            f"/api/{stranger.user_id}/feedback", headers=stranger.headers
        )
        assert foreign.json()["data"] == []
        stolen = await respond(running, stranger, made[0], answer="approve")
        assert error_of(stolen, 404)["error_code"] == "not_found"

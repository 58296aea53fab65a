"""Turns as UI message streams: what is said, done and asked, and how it ends."""

from typing import Any

import pytest
from tests.answers import error_of
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person, calls_tool, says, scripted
from tests.feedback.test_approvals import Deleting, titles, with_tasks
from tests.ui.chatting import chunks, hydrated, kinds, path, send, text, user

CALLED = [
    "start",
    "start-step",
    "tool-input-available",
    "tool-output-available",
    "finish-step",
    "start-step",
    "text-start",
    "text-delta",
    "text-end",
    "finish-step",
    "finish",
]


async def test_a_message_is_answered_with_a_stream_of_chunks(offline_app: RunningApp) -> None:
    person = Person()
    told = chunks(await send(offline_app.client, person, user("Add task: Milk")))
    assert kinds(told) == CALLED
    by_type = {chunk["type"]: chunk for chunk in told}
    assert by_type["tool-input-available"]["toolName"] == "add_task"
    assert by_type["tool-output-available"]["output"]["title"] == "Milk"
    assert text(told) == "Added “Milk”."
    start, finish = by_type["start"], by_type["finish"]
    assert start["messageId"] == start["messageMetadata"]["turn_id"]
    assert finish["messageMetadata"]["status"] == "completed"
    assert [chunk["data"]["status"] for chunk in told if chunk["type"] == "data-status"]


async def test_only_the_last_message_is_read_and_history_comes_from_the_database(
    running_app: AppMaker,
) -> None:
    model, chain = scripted(says("One"), says("Two"))
    async with running_app(chain=chain) as running:
        person = Person()
        chunks(await send(running.client, person, user("first")))
        made_up = {"id": "a", "role": "assistant", "parts": [{"type": "text", "text": "Lies"}]}
        # What is not read need not even be sound.
        sent: list[dict[str, Any]] = [{"role": "nobody"}, made_up, user("second", "m2")]
        chunks(await send(running.client, person, *sent))
        asked = str(model.calls[-1].input)
    assert "first" in asked
    assert "One" in asked
    assert "Lies" not in asked


async def test_a_message_alone_is_enough(offline_app: RunningApp) -> None:
    person = Person()
    body = {"id": "c1", "message": user("Add task: Milk")}
    answer = await offline_app.client.post(path(person), json=body, headers=person.headers)
    assert kinds(chunks(answer)) == CALLED


async def test_a_message_that_comes_twice_is_told_twice_and_done_once(
    offline_app: RunningApp,
) -> None:
    person = Person()
    first = await send(offline_app.client, person, user("Add task: Milk"))
    again = await send(offline_app.client, person, user("Add task: Milk"))
    assert chunks(again) == chunks(first)
    assert again.headers["idempotent-replayed"] == "true"
    assert await titles(offline_app, person) == ["Milk"]
    other = await send(offline_app.client, person, user("Add task: Eggs"))
    assert error_of(other, 422)["error_code"] == "idempotency_mismatch"


async def test_a_failed_turn_says_why(running_app: AppMaker) -> None:
    _, chain = scripted()
    async with running_app(chain=chain) as running:
        person = Person()
        told = chunks(await send(running.client, person, user("Hello")))
        assert told[-1]["type"] == "error"
        failed = told[-2]["messageMetadata"]
        assert failed["status"] == "failed"
        assert told[-1]["errorText"] == failed["error"]["error"]
        [_, shown] = await hydrated(running.client, person)
    assert shown["parts"] == []
    assert shown["metadata"]["error"] == failed["error"]


async def test_a_tool_that_fails_is_told_as_failed(running_app: AppMaker) -> None:
    _, chain = scripted([calls_tool("complete_task", {"task_id": 9})], says("There is none."))
    async with running_app(chain=chain) as running:
        person = Person()
        told = chunks(await send(running.client, person, user("Done with 9")))
        [failed] = [chunk for chunk in told if chunk["type"] == "tool-output-error"]
        assert "No task 9" in failed["errorText"]
        [_, shown] = await hydrated(running.client, person)
    [part] = [part for part in shown["parts"] if part["type"] == "tool-complete_task"]
    assert (part["state"], part["errorText"]) == ("output-error", failed["errorText"])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"id": "c"},
        {"id": "", "message": user("x")},
        {"id": "c", "messages": []},
        {"id": "c", "message": user(" ")},
        {"id": "c", "message": user("x" * 5001)},
        {"id": "c", "message": user("x", "")},
        {"id": "c", "message": {**user("x"), "role": "system"}},
        {"id": "c", "message": {**user("x"), "parts": [{"type": "file", "url": "data:,x"}]}},
        {"id": "c", "message": user("x"), "trigger": "resume-stream"},
        {"id": 1, "message": user("x")},
        {"id": "c", "message": user("a\0b")},
    ],
)
async def test_what_is_no_message_is_refused_before_the_stream(
    offline_app: RunningApp, body: dict[str, Any]
) -> None:
    person = Person()
    answer = await offline_app.client.post(path(person), json=body, headers=person.headers)
    assert error_of(answer, 400)["error_code"] == "invalid_request"


async def test_what_clients_send_besides_is_let_pass(offline_app: RunningApp) -> None:
    person = Person()
    message = {**user("Add task: Milk"), "metadata": {"a": [1]}, "createdAt": "x"}
    message["parts"].append({"type": "data-place", "data": {"lat": 1.5}})
    answer = await send(offline_app.client, person, message, model="x", webSearch=True)
    assert kinds(chunks(answer)) == CALLED


async def test_what_nobody_accepts_is_not_streamed(offline_app: RunningApp) -> None:
    person = Person()
    answer = await send(
        offline_app.client, person, user("Hello"), headers={"Accept": "application/json"}
    )
    assert error_of(answer, 406)["error_code"] == "not_acceptable"


async def test_an_approval_pauses_the_stream_and_its_answer_goes_on_with_it(
    running_app: AppMaker,
) -> None:
    async with running_app(chain=Deleting(1, 2).chain) as running:
        person = await with_tasks(running, "Milk", "Eggs")
        told = chunks(await send(running.client, person, user("Delete both")))
        assert kinds(told) == [
            "start",
            "start-step",
            "tool-input-available",
            "tool-approval-request",
            "finish-step",
            "finish",
        ]
        assert told[-1]["finishReason"] == "tool-calls"
        [_, waiting] = await hydrated(running.client, person)
        calls = [part for part in waiting["parts"] if part["type"] == "tool-delete_task"]
        assert {part["state"] for part in calls} == {"approval-requested"}
        assert waiting["metadata"]["status"] == "awaiting_feedback"

        unanswered = await send(running.client, person, waiting, messageId=waiting["id"])
        assert error_of(unanswered, 400)["error_code"] == "invalid_request"
        for part, approved in zip(calls, (True, False), strict=True):
            part["approval"] |= {"approved": approved, "reason": None if approved else "Keep"}
        elsewhere = await send(running.client, person, waiting, chat="c2")
        assert error_of(elsewhere, 404)["error_code"] == "not_found"
        rest = chunks(await send(running.client, person, waiting, messageId=waiting["id"]))
        assert kinds(rest)[:4] == [
            "start",
            "tool-approval-response",
            "tool-output-available",
            "tool-output-denied",
        ]
        assert rest[0]["messageId"] == waiting["id"]
        assert text(rest)
        assert await titles(running, person) == ["Eggs"]
        late = await send(running.client, person, waiting, messageId=waiting["id"])
        assert error_of(late, 409)["error_code"] == "feedback_closed"

        [_, done] = await hydrated(running.client, person)
        first, second = [part for part in done["parts"] if part["type"] == "tool-delete_task"]
        assert (first["state"], first["approval"]["approved"]) == ("output-available", True)
        assert (second["state"], second["approval"]["approved"]) == ("output-denied", False)
        assert second["approval"]["reason"] == "Keep"
        again = chunks(await send(running.client, person, user("Delete both")))
        assert [chunk["type"] for chunk in again].count("tool-approval-response") == 2
        assert again[-1]["finishReason"] == "stop"

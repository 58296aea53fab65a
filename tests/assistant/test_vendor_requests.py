"""What a vendor's endpoint receives, captured on a real socket."""

from typing import Any

import pytest
from pydantic import SecretStr
from tests.assistant.vendor.endpoint import Vendor, vendor
from tests.assistant.vendor.steps import (
    Step,
    calls,
    calls_raw,
    empty,
    fails,
    garbage,
    hangs,
    says,
    thinks,
    together,
)
from tests.conftest import AppMaker
from tests.factories import Person


def configured(standing: Vendor, **more: Any) -> dict[str, Any]:
    return {
        "openai_api_key": SecretStr("sk-test"),
        "openai_base_url": standing.url,
        "model": "gpt-test",
        **more,
    }


async def test_the_request_holds_the_message_once_and_history_in_order(
    running_app: AppMaker,
) -> None:
    person = Person()
    async with vendor(
        calls("add_task", title="Buy milk", tokens=(11, 3)),
        says("Added “Buy milk”.", tokens=(20, 4)),
        says("You are welcome."),
    ) as standing:
        async with running_app(**configured(standing)) as running:
            first = await person.say(running.client, "Please add milk")
            assert first.status_code == 200, first.text
            assert first.json()["usage"] == {
                "model_calls": 2,
                "input_tokens": 31,
                "output_tokens": 7,
            }
            assert first.json()["model"] == "gpt-test"
            conversation = first.json()["conversation_id"]
            await person.say(running.client, "Thanks", conversation_id=conversation)
    asked, answered, later = [request.body for request in standing.requests]
    assert [request.path for request in standing.requests] == ["/v1/responses"] * 3
    assert [item["role"] for item in asked["input"]] == ["user"]
    assert asked["input"][0]["content"] == "Please add milk"
    assert "to-do list" in asked["instructions"]
    assert asked["store"] is False
    assert [item.get("type", item.get("role")) for item in answered["input"]] == [
        "user",
        "function_call",
        "function_call_output",
    ]
    kinds = [item.get("role") or item["type"] for item in later["input"]]
    assert kinds == ["user", "function_call", "function_call_output", "assistant", "user"]
    texts = [item["content"] for item in later["input"] if "role" in item]
    assert texts == ["Please add milk", "Added “Buy milk”.", "Thanks"]
    assert later["input"][1]["call_id"] == later["input"][2]["call_id"]
    assert later["input"][1]["call_id"] == answered["input"][1]["call_id"] != ""


async def test_no_tool_schema_has_a_user_id_and_no_identity_travels(
    running_app: AppMaker,
) -> None:
    person = Person()
    async with vendor(says("Hello.")) as standing:
        async with running_app(**configured(standing)) as running:
            await person.say(running.client, "hello")
    [request] = [request.body for request in standing.requests]
    assert [tool["name"] for tool in request["tools"]] == [
        "add_task",
        "list_tasks",
        "complete_task",
        "delete_task",
        "update_task",
    ]
    assert "user_id" not in str(request)
    assert person.user_id not in str(request)


async def test_a_repeated_call_id_of_a_careless_vendor_is_a_call_of_its_own(
    running_app: AppMaker,
) -> None:
    person = Person()
    async with vendor(
        calls_raw("add_task", '{"title": "One"}', call_id="call_0"),
        calls_raw("add_task", '{"title": "Two"}', call_id="call_0"),
        says("Both."),
    ) as standing:
        async with running_app(**configured(standing)) as running:
            body = (await person.say(running.client, "two tasks")).json()
    assert [one["result"]["title"] for one in body["tool_calls"]] == ["One", "Two"]
    last = standing.requests[-1].items
    ids = [item["call_id"] for item in last if item.get("type") == "function_call"]
    outputs = [item["call_id"] for item in last if item.get("type") == "function_call_output"]
    assert len(set(ids)) == 2
    assert ids == outputs


async def test_reasoning_comes_back_whole_with_its_call(running_app: AppMaker) -> None:
    async with vendor(
        together(thinks("gAAAsecret"), calls("list_tasks")),
        says("Nothing yet."),
    ) as standing:
        async with running_app(**configured(standing, model="gpt-5.6-luna")) as running:
            answer = await Person().say(running.client, "what is there?")
            assert answer.status_code == 200, answer.text
    assert standing.requests[0].body["include"] == ["reasoning.encrypted_content"]
    sent = standing.requests[1].items
    assert [item["encrypted_content"] for item in sent if item.get("type") == "reasoning"] == [
        "gAAAsecret"
    ]


async def test_unknown_tools_and_broken_arguments_are_told_to_the_model(
    running_app: AppMaker,
) -> None:
    async with vendor(
        calls("drop_tables", now=True),
        calls_raw("add_task", '{"title": '),
        says("I could not."),
    ) as standing:
        async with running_app(**configured(standing)) as running:
            answer = await Person().say(running.client, "try")
            assert answer.status_code == 200, answer.text
    outputs = [
        item["output"]
        for item in standing.requests[-1].items
        if item.get("type") == "function_call_output"
    ]
    assert len(outputs) == 2
    assert "drop_tables" in outputs[0]
    assert "valid JSON" in outputs[1]


@pytest.mark.parametrize(
    ("step", "status", "code"),
    [
        (fails(400), 502, "model_error"),
        (fails(500, should_retry=False), 502, "model_error"),
        (hangs(), 504, "timeout"),
        (empty(), 502, "model_error"),
        (says("\u200b"), 502, "model_error"),
        (garbage('{"nonsense": true}', type="application/json"), 502, "model_error"),
    ],
)
async def test_a_failing_vendor_is_a_named_error_and_the_next_turn_works(
    running_app: AppMaker, step: Step, status: int, code: str
) -> None:
    person = Person()
    # Short only for the one that never answers: the others, and what follows, must not race it.
    model_timeout_s = 3 if step == hangs() else 30
    async with vendor(step, says("Back again.")) as standing:
        async with running_app(**configured(standing, model_timeout_s=model_timeout_s)) as running:
            failed = await person.say(running.client, "hello", key="k")
            assert (failed.status_code, failed.json()["error_code"]) == (status, code)
            again = await person.say(running.client, "hello", key="k")
            assert again.content == failed.content
            assert again.headers["idempotent-replayed"] == "true"
            works = await person.say(
                running.client, "and now?", conversation_id=failed.json()["conversation_id"]
            )
            assert works.status_code == 200, works.text
            assert works.json()["response"] == "Back again."
    roles = [item["role"] for item in standing.requests[-1].items]
    assert roles == ["user", "assistant", "user"]
    assert "no answer" in standing.requests[-1].items[1]["content"]


async def test_the_next_model_of_the_chain_answers_for_one_that_fails(
    running_app: AppMaker,
) -> None:
    async with vendor(fails(500, should_retry=False)) as standing:
        async with running_app(**configured(standing, model="gpt-test, offline")) as running:
            body = (await Person().say(running.client, "Add task: Buy milk")).json()
    assert body["model"] == "offline"
    assert body["tool_calls"][0]["result"]["title"] == "Buy milk"


async def test_chat_completions_are_spoken_where_they_are_set(running_app: AppMaker) -> None:
    async with vendor(says("Hello.")) as standing:
        async with running_app(**configured(standing, openai_api="chat_completions")) as running:
            body = (await Person().say(running.client, "hello")).json()
    assert body["response"] == "Hello."
    assert [request.path for request in standing.requests] == ["/v1/chat/completions"]

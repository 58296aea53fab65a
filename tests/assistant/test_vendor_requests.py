"""What a vendor's endpoint receives, captured on a real socket."""

from typing import Any

import pytest
from pydantic import SecretStr
from tests.assistant.vendor import Vendor, call, message, reasoning, response, vendor
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
        response(call("add_task", "call_a", title="Buy milk"), tokens=(11, 3)),
        response(message("Added “Buy milk”."), tokens=(20, 4)),
        response(message("You are welcome.")),
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
    asked, answered, later = standing.requests
    assert standing.paths == ["/v1/responses"] * 3
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
    assert later["input"][1]["call_id"] == later["input"][2]["call_id"] == "call_a"


async def test_no_tool_schema_has_a_user_id_and_no_identity_travels(
    running_app: AppMaker,
) -> None:
    person = Person()
    async with vendor(response(message("Hello."))) as standing:
        async with running_app(**configured(standing)) as running:
            await person.say(running.client, "hello")
    [request] = standing.requests
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
        response(call("add_task", "call_0", title="One")),
        response(call("add_task", "call_0", title="Two")),
        response(message("Both.")),
    ) as standing:
        async with running_app(**configured(standing)) as running:
            body = (await person.say(running.client, "two tasks")).json()
    assert [one["result"]["title"] for one in body["tool_calls"]] == ["One", "Two"]
    last = standing.requests[-1]["input"]
    ids = [item["call_id"] for item in last if item.get("type") == "function_call"]
    outputs = [item["call_id"] for item in last if item.get("type") == "function_call_output"]
    assert len(set(ids)) == 2
    assert ids == outputs


async def test_reasoning_comes_back_whole_with_its_call(running_app: AppMaker) -> None:
    async with vendor(
        response(reasoning("gAAAsecret"), call("list_tasks", "call_a")),
        response(message("Nothing yet.")),
    ) as standing:
        async with running_app(**configured(standing, model="gpt-5.6-luna")) as running:
            answer = await Person().say(running.client, "what is there?")
            assert answer.status_code == 200, answer.text
    assert standing.requests[0]["include"] == ["reasoning.encrypted_content"]
    sent = standing.requests[1]["input"]
    assert [item["encrypted_content"] for item in sent if item.get("type") == "reasoning"] == [
        "gAAAsecret"
    ]


async def test_unknown_tools_and_broken_arguments_are_told_to_the_model(
    running_app: AppMaker,
) -> None:
    broken = call("add_task", "call_b")
    broken["arguments"] = '{"title": '
    async with vendor(
        response(call("drop_tables", "call_a", now=True)),
        response(broken),
        response(message("I could not.")),
    ) as standing:
        async with running_app(**configured(standing)) as running:
            answer = await Person().say(running.client, "try")
            assert answer.status_code == 200, answer.text
    outputs = [
        item["output"]
        for item in standing.requests[-1]["input"]
        if item.get("type") == "function_call_output"
    ]
    assert len(outputs) == 2
    assert "drop_tables" in outputs[0]
    assert "valid JSON" in outputs[1]


@pytest.mark.parametrize(
    ("answers", "status", "code"),
    [
        ([400], 502, "model_error"),
        ([500], 502, "model_error"),
        ([None], 504, "timeout"),
        ([response()], 502, "model_error"),
        ([response(message("\u200b"))], 502, "model_error"),
        ([{"nonsense": True}], 502, "model_error"),
    ],
)
async def test_a_failing_vendor_is_a_named_error_and_the_next_turn_works(
    running_app: AppMaker, answers: list[Any], status: int, code: str
) -> None:
    person = Person()
    # Short only for the one that never answers: the others, and what follows, must not race it.
    model_timeout_s = 3 if answers == [None] else 30
    async with vendor(*answers, response(message("Back again."))) as standing:
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
    roles = [item["role"] for item in standing.requests[-1]["input"]]
    assert roles == ["user", "assistant", "user"]
    assert "no answer" in standing.requests[-1]["input"][1]["content"]


async def test_the_next_model_of_the_chain_answers_for_one_that_fails(
    running_app: AppMaker,
) -> None:
    async with vendor(500) as standing:
        async with running_app(**configured(standing, model="gpt-test, offline")) as running:
            body = (await Person().say(running.client, "Add task: Buy milk")).json()
    assert body["model"] == "offline"
    assert body["tool_calls"][0]["result"]["title"] == "Buy milk"


async def test_chat_completions_are_spoken_where_they_are_set(running_app: AppMaker) -> None:
    completion = {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-test",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "Hello."},
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    }
    async with vendor(completion) as standing:
        async with running_app(**configured(standing, openai_api="chat_completions")) as running:
            body = (await Person().say(running.client, "hello")).json()
    assert body["response"] == "Hello."
    assert standing.paths == ["/v1/chat/completions"]

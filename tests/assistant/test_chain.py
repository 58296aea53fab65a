"""The chain over the SDK's own repeats: who is asked next, and what they are told."""

import importlib.util
from typing import Any

import httpx2
import pytest
from agents.testing import ModelStep, ScriptedModel
from openai import APIStatusError
from openai.types.responses import ResponseOutputMessage, ResponseOutputRefusal
from tests.assistant.test_models import Record, run
from tests.factories import calls_tool, says

from taskchat.assistant.instructions import load_agent_config
from taskchat.assistant.models.asking import NamedModel
from taskchat.assistant.models.chain import ModelChain
from taskchat.assistant.models.names import ModelConfigError, model_names
from taskchat.assistant.models.repeats import backoff_s
from taskchat.assistant.models.soundness import is_nothing, readable_by
from taskchat.assistant.record import Answer
from taskchat.errors import ModelError
from taskchat.settings import Settings


def refused(status: int, **headers: str) -> ModelStep:
    """A vendor's answer that is none."""
    request = httpx2.Request("POST", "http://vendor/v1/responses")
    response = httpx2.Response(status, headers=headers, request=request)
    return ModelStep.raise_error(APIStatusError("no", response=response, body=None))


async def test_a_failure_that_may_pass_is_met_by_asking_again() -> None:
    model, record = ScriptedModel([refused(503), refused(429), says("There.")]), Record()
    assert await run(record, model) == "There."
    assert record.asked == ["model-0"] * 3


async def test_a_failure_that_will_not_pass_is_met_by_the_next_model() -> None:
    record = Record()
    first = ScriptedModel([refused(401)])
    assert await run(record, first, ScriptedModel([says("Second.")])) == "Second."
    assert record.asked == ["model-0", "model-1"]


async def test_a_wait_that_is_too_long_is_not_waited_for() -> None:
    record = Record()
    first = ScriptedModel([refused(429, **{"retry-after": "3600"})])
    assert await run(record, first, ScriptedModel([says("Second.")])) == "Second."


async def test_repeats_end_and_the_last_failure_is_told() -> None:
    record = Record()
    with pytest.raises(ModelError):
        await run(record, ScriptedModel([refused(500)] * 9), ScriptedModel([refused(500)] * 9))
    assert record.asked == ["model-0"] * 3 + ["model-1"] * 3


async def test_nobody_is_asked_while_all_are_left_alone() -> None:
    chain = ModelChain(
        [NamedModel("m", ScriptedModel([refused(500)] * 9))],
        Settings(_env_file=None, breaker_failures=1, model_retries_max=0),
    )
    for asked in (["m"], []):
        record = Record()
        with pytest.raises(ModelError) as caught:
            await run(record, chain=chain)
        assert record.asked == asked
    assert 0 < (caught.value.retry_after_s or 0) <= 31


async def test_a_turn_goes_on_with_the_model_that_it_has_come_to() -> None:
    record = Record()
    record.answers.append(Answer("model-1", [], 0, 0))
    assert await run(record, ScriptedModel([]), ScriptedModel([says("Second.")])) == "Second."
    assert record.asked == ["model-1"]


def test_what_one_model_kept_for_itself_is_not_given_to_another() -> None:
    thought: dict[str, Any] = {"id": "rs_1", "type": "reasoning", "encrypted_content": "x"}
    called: dict[str, Any] = {
        "id": "fc_1",
        "type": "function_call",
        "call_id": "c",
        "name": "list_tasks",
        "arguments": "{}",
        "provider_data": {"model": "a"},
    }
    output: dict[str, Any] = {"type": "function_call_output", "call_id": "c", "output": "[]"}
    items: Any = [{"role": "user", "content": "hi"}, thought, called, output]
    answers = [Answer("a", [thought, called], 0, 0)]
    assert readable_by("a", items, answers) is items
    told = readable_by("b", items, answers)
    assert [item.get("type") for item in told] == [None, "function_call", "function_call_output"]
    assert set(told[1]) == {"type", "call_id", "name", "arguments"}


async def test_a_refusal_is_a_reply_and_is_heard() -> None:
    message = ResponseOutputMessage(
        id="msg_1",
        type="message",
        role="assistant",
        status="completed",
        content=[ResponseOutputRefusal(type="refusal", refusal="I can't help with that.")],
    )
    record = Record()
    record.streams = False
    assert await run(record, ScriptedModel([[message]])) == "I can't help with that."


async def test_an_answer_of_nothing_is_a_failure_of_its_model() -> None:
    record = Record()
    record.streams = False
    first = ScriptedModel([says("\u200b")])
    assert await run(record, first, ScriptedModel([says("Second.")])) == "Second."
    with pytest.raises(ModelError, match="answered nothing"):
        await run(record, ScriptedModel([says(" ")]))


def test_a_step_that_calls_is_not_nothing() -> None:
    assert not is_nothing([calls_tool("list_tasks", {}, call_id="c")])


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, ["offline"]),
        ({"openai_api_key": "sk-x"}, ["gpt-5.6-luna"]),
        ({"model": "a , offline", "openai_base_url": "http://localhost/v1"}, ["a", "offline"]),
        ({"model": "org/model", "openai_api_key": "sk-x"}, ["org/model"]),
    ],
)
def test_the_chain_is_what_is_configured(settings: dict[str, Any], names: list[str]) -> None:
    configured = Settings(_env_file=None, **settings)
    assert model_names(configured, load_agent_config(configured)) == names


@pytest.mark.parametrize(
    ("model", "named"),
    [("gpt-x", "OPENAI_API_KEY"), ("offline, litellm/a/b", r"openai-agents\[litellm\]")],
)
def test_a_model_that_can_not_be_asked_stops_the_start(
    model: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    configured = Settings(_env_file=None, model=model)
    with pytest.raises(ModelConfigError, match=named):
        model_names(configured, load_agent_config(configured))


def test_each_model_is_waited_for_alike_and_never_for_long() -> None:
    waits_s = [[backoff_s(repeats) for _ in range(100)] for repeats in (0, 1, 2, 3, 10)]
    for wanted_s, drawn_s in zip((0.25, 0.5, 1, 2, 2), waits_s, strict=True):
        assert all(0.75 * wanted_s <= wait_s <= 1.25 * wanted_s for wait_s in drawn_s)
        assert len(set(drawn_s)) > 1

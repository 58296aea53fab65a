"""The chain as one model: streaming, falling back, and answers made sound."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from agents import Agent, Model, RunConfig, Runner
from agents.testing import ModelStep, ScriptedModel, assistant_message, function_call
from openai.types.responses import ResponseFunctionToolCall
from tests.factories import says

from taskchat.assistant.models import NamedModel, RecordedChain, make_sound
from taskchat.assistant.offline.model import OfflineModel
from taskchat.assistant.record import Answer, RecordedCall, recorded_in
from taskchat.conversations.history import InputItem
from taskchat.errors import ModelError, RunTimeout


class Record:
    """Keeps what a run tells it."""

    def __init__(self, history: Sequence[InputItem] = ()) -> None:
        self.history = history
        self.answers: list[Answer] = []
        self.broken: Exception | None = None

    def answered(self, answer: Answer) -> None:
        self.answers.append(answer)

    def call(self, call_id: str, tool_name: str, arguments: dict[str, Any]) -> RecordedCall:
        raise AssertionError("no tool is offered here")


async def streamed(record: Record, *models: Model, timeout_s: float = 5) -> tuple[str, list[str]]:
    """The final text of a streamed run, and the pieces that it came in."""
    chain = RecordedChain(
        [NamedModel(f"model-{number}", model) for number, model in enumerate(models)],
        attempt_timeout_s=timeout_s,
    )
    pieces = []
    with recorded_in(record):
        result = Runner.run_streamed(
            Agent(name="a"), "hello", run_config=RunConfig(model=chain, tracing_disabled=True)
        )
        async for event in result.stream_events():
            if event.type == "raw_response_event" and event.data.type.endswith("text.delta"):
                pieces.append(str(event.data.delta))  # type: ignore[union-attr]
    return str(result.final_output), pieces


async def test_a_streamed_answer_is_recorded_and_comes_after_the_history() -> None:
    model = ScriptedModel([says("Good morning to you.")])
    record = Record([{"role": "user", "content": "before"}, {"role": "assistant", "content": "!"}])
    text, pieces = await streamed(record, model)
    assert text == "".join(pieces) == "Good morning to you."
    assert [answer.model for answer in record.answers] == ["model-0"]
    assert [item["content"] for item in model.calls[0].input] == ["before", "!", "hello"]


async def test_the_offline_model_streams_word_by_word() -> None:
    text, pieces = await streamed(Record(), OfflineModel())
    assert len(pieces) > 3
    assert "".join(pieces) == text


async def test_a_stream_falls_back_before_its_first_event() -> None:
    failing = ScriptedModel([ModelStep.raise_error(ValueError("no"))])
    record = Record()
    text, _ = await streamed(record, failing, ScriptedModel([says("Second.")]))
    assert text == "Second."
    assert [answer.model for answer in record.answers] == ["model-1"]


async def test_a_stream_that_breaks_in_the_middle_is_not_continued_by_another_model() -> None:
    class Breaking(OfflineModel):
        async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            async for event in super().stream_response(*args, **kwargs):
                yield event
                if event.type.endswith("text.delta"):
                    raise ValueError("cut")

    other = ScriptedModel([says("Never asked.")])
    with pytest.raises(ModelError):
        await streamed(Record(), Breaking(), other)
    assert not other.calls


async def test_a_stream_that_never_begins_is_a_timeout() -> None:
    async def silent(_call: Any) -> AsyncIterator[Any]:
        await asyncio.Event().wait()
        yield

    with pytest.raises(RunTimeout):
        await streamed(Record(), ScriptedModel([ModelStep.stream(silent)]), timeout_s=0.05)


def call(call_id: str, arguments: str = "{}") -> ResponseFunctionToolCall:
    made = function_call("add_task", arguments, call_id="x")
    assert isinstance(made, ResponseFunctionToolCall)
    made.call_id = call_id
    return made


def test_what_a_record_can_not_hold_is_mended() -> None:
    text = assistant_message("a\x00b\ud800c")
    calls = [call("i" * 300, '{"title": "x\x00"}'), call("seen"), call("")]
    make_sound(
        [text, *calls],
        [{"type": "function_call", "call_id": "seen", "name": "add_task", "arguments": "{}"}],
    )
    assert "a\ufffdb\ufffdc" in text.model_dump_json()
    ids = [one.call_id for one in calls]
    assert len(set(ids)) == 3
    assert all(id_ and len(id_) < 50 and id_ != "seen" for id_ in ids)
    assert "\x00" not in calls[0].arguments

"""The chain as one model: streaming, falling back, and answers made sound."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from agents import Agent, Model, RunConfig, Runner
from agents.testing import ModelStep, ScriptedModel, assistant_message, function_call
from openai.types.responses import (
    ResponseCreatedEvent,
    ResponseFailedEvent,
    ResponseFunctionToolCall,
)
from tests.factories import says

from taskchat.assistant.models.asking import NamedModel
from taskchat.assistant.models.chain import ModelChain
from taskchat.assistant.models.offline import OfflineModel
from taskchat.assistant.models.soundness import UNREADABLE, made_sound, sound_arguments
from taskchat.assistant.record import Answer, RecordedCall, recorded_in
from taskchat.conversations.history import InputItem
from taskchat.errors import RunTimeout
from taskchat.feedback.decisions import Decisions
from taskchat.settings import Settings


class Record:
    """Keeps what a run tells it."""

    def __init__(self, history: Sequence[InputItem] = ()) -> None:
        self.streams = True
        self.manner: str | None = None
        self.script: str | None = None
        self.number = 1
        self.history = history
        self.answers: list[Answer] = []
        self.asked: list[str] = []
        self.steering: list[list[str]] = []
        self.pieces: list[str] = []
        self.thoughts: list[str] = []
        self.broken_off = 0
        self.broken: Exception | None = None
        self.decisions: Decisions = {}

    def asking(self, model: str) -> None:
        self.asked.append(model)

    def heard(self, delta: str) -> None:
        self.pieces.append(delta)

    def thought(self, delta: str) -> None:
        self.thoughts.append(delta)

    def broke_off(self) -> None:
        self.broken_off += 1

    @property
    def has_unread(self) -> bool:
        return bool(self.steering)

    async def steered(self) -> Sequence[str]:
        return self.steering.pop(0)

    def answered(self, answer: Answer) -> None:
        self.answers.append(answer)

    def call(self, call_id: str, tool_name: str, arguments: dict[str, Any]) -> RecordedCall:
        raise AssertionError("no tool is offered here")


async def run(
    record: Record, *models: Model, chain: ModelChain | None = None, timeout_s: float = 5
) -> str:
    """The final text of a run over a chain of these models."""
    chain = chain or ModelChain(
        [NamedModel(f"model-{number}", model) for number, model in enumerate(models)],
        Settings(_env_file=None).model_copy(update={"model_timeout_s": timeout_s}),
    )
    config = RunConfig(model=chain, model_settings=chain.settings, tracing_disabled=True)
    with recorded_in(record), chain.running(record.answers):
        result = await Runner.run(Agent(name="a"), "hello", run_config=config)
    return str(result.final_output)


class Cut(OfflineModel):
    """Ends its answer in the middle: by an error, by a failed event, or by nothing at all."""

    def __init__(self, how: str) -> None:
        self.how = how

    async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        async for event in super().stream_response(*args, **kwargs):
            if isinstance(event, ResponseCreatedEvent):
                response = event.response
            yield event
            if event.type.endswith("text.delta"):
                break
        if self.how == "error":
            raise ValueError("cut")
        if self.how == "failed":
            yield ResponseFailedEvent(type="response.failed", response=response, sequence_number=9)


async def test_a_streamed_answer_is_heard_recorded_and_comes_after_the_history() -> None:
    model = ScriptedModel([says("Good morning to you.")])
    record = Record([{"role": "user", "content": "before"}, {"role": "assistant", "content": "!"}])
    assert await run(record, model) == "".join(record.pieces) == "Good morning to you."
    assert record.asked == [answer.model for answer in record.answers] == ["model-0"]
    assert [item["content"] for item in model.calls[0].input] == ["before", "!", "hello"]


async def test_the_offline_model_streams_word_by_word() -> None:
    record = Record()
    text = await run(record, OfflineModel())
    assert len(record.pieces) > 3
    assert "".join(record.pieces) == text


async def test_a_stream_falls_back_before_its_first_word() -> None:
    failing = ScriptedModel([ModelStep.raise_error(ValueError("no"))])
    record = Record()
    assert await run(record, failing, ScriptedModel([says("Second.")])) == "Second."
    assert record.asked == ["model-0", "model-1"]
    assert [answer.model for answer in record.answers] == ["model-1"]
    assert "".join(record.pieces) == "Second."


@pytest.mark.parametrize(("how", "times"), [("error", 1), ("failed", 3), ("nothing", 3)])
async def test_a_stream_that_breaks_in_the_middle_is_void_and_told_anew(
    how: str, times: int
) -> None:
    record = Record()
    assert await run(record, Cut(how), ScriptedModel([says("Second.")])) == "Second."
    assert record.asked == ["model-0"] * times + ["model-1"]
    assert record.broken_off == times
    assert "".join(record.pieces[times:]) == "Second."


async def test_a_stream_that_never_begins_is_a_timeout() -> None:
    async def silent(_call: Any) -> AsyncIterator[Any]:
        await asyncio.Event().wait()
        yield

    with pytest.raises(RunTimeout):
        await run(Record(), ScriptedModel([ModelStep.stream(silent)]), timeout_s=0.05)


def test_the_chain_is_asked_and_not_streamed() -> None:
    with pytest.raises(NotImplementedError):
        ModelChain([], Settings(_env_file=None)).stream_response()


def call(call_id: str, arguments: str = "{}") -> ResponseFunctionToolCall:
    made = function_call("add_task", arguments, call_id="x")
    assert isinstance(made, ResponseFunctionToolCall)
    made.call_id = call_id
    return made


def test_what_a_record_can_not_hold_is_mended() -> None:
    text = assistant_message("a\x00b\ud800c")
    calls = [call("i" * 300, '{"title": "x\x00"}'), call("seen"), call("")]
    made_sound(
        [text, *calls],
        {"seen"},
        "a\ufffdb\ufffdc",
    )
    assert "a\ufffdb\ufffdc" in text.model_dump_json()
    ids = [one.call_id for one in calls]
    assert len(set(ids)) == 3
    assert all(id_ and len(id_) < 50 and id_ != "seen" for id_ in ids)
    assert "\x00" not in calls[0].arguments


@pytest.mark.parametrize(
    ("written", "sound"),
    [
        ('{"title":  "é"}', '{"title":  "é"}'),
        ('{"title": ', '{"title": '),
        ('{"a": ["\\u0000", {"\\ud800": 1}]}', '{"a": ["\ufffd", {"\ufffd": 1}]}'),
        ('{"a": "\\ud83e\\udd5b"}', '{"a": "\\ud83e\\udd5b"}'),
        ('{"a": NaN}', UNREADABLE),
        ('{"a": -1e999}', UNREADABLE),
        ('{"a": ' + "9" * 5000 + "}", UNREADABLE),
        ("[" * 100_000, UNREADABLE),
        ("[" * 100 + "]" * 100, UNREADABLE),
    ],
)
def test_arguments_are_mended_or_plainly_no_json(written: str, sound: str) -> None:
    assert sound_arguments(written) == sound

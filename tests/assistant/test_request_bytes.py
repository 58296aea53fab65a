"""A vendor gets, byte by byte, what OpenAI's client itself sends, over both of its APIs."""

import asyncio
from typing import Any

import httpx2
import hypothesis.strategies as st
import pytest
from agents import FunctionTool, ModelSettings, OpenAIChatCompletionsModel, OpenAIResponsesModel
from agents.models.fake_id import FAKE_RESPONSES_ID
from agents.models.interface import ModelTracing
from hypothesis import given, settings
from openai import APIStatusError, AsyncOpenAI
from openai.types.shared import Reasoning
from tests.assistant.test_models import Record

from taskchat.assistant.models.asking import Attempt, ModelFailed
from taskchat.assistant.models.names import openai_model
from taskchat.assistant.models.said_before import SaidBefore
from taskchat.assistant.models.soundness import readable_by_any
from taskchat.assistant.models.vendor import VendorClient
from taskchat.conversations.history import InputItem, model_input
from taskchat.conversations.past import PastTurn
from taskchat.settings import Settings

MODEL = "gpt-5.6-luna"
INSTRUCTIONS = "Be brief: „é“"
OPTIONS: dict[str, Any] = {
    "api_key": "sk-test",
    "base_url": "http://vendor/v1",
    "timeout": 60.0,
    "max_retries": 0,
}

texts = st.text(max_size=20) | st.sampled_from(["", " ", "„é“ 🥛\u2028", '"\\/\x7f', "a\nb"])
words = st.text("abcdef_", min_size=1, max_size=8)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
objects = st.dictionaries(texts, values, max_size=2)


@st.composite
def past_turns(draw: st.DrawFn) -> list[PastTurn]:
    """Turns of a conversation, newest first."""
    return [
        PastTurn(
            number=number,
            said=draw(texts),
            calls=[
                {
                    "call_id": f"call_{number}_{index}",
                    "tool_name": draw(words),
                    "parameters": draw(objects),
                    "result": draw(objects),
                    "status": draw(st.sampled_from(["completed", "failed"])),
                }
                for index in range(draw(st.integers(0, 2)))
            ],
            reply=draw(st.none() | texts),
        )
        for number in range(draw(st.integers(0, 3)), 0, -1)
    ]


@st.composite
def answers(draw: st.DrawFn) -> list[InputItem]:
    """What a model has answered in this turn, and the output of its call."""
    made_by = draw(st.sampled_from([{}, {"provider_data": {"model": "other"}}]))
    ids = st.sampled_from([FAKE_RESPONSES_ID, "item_1"])
    call_id = draw(words)
    part = {"type": "output_text", "text": draw(texts), "annotations": [], "logprobs": []}
    items: list[InputItem] = [
        {
            "type": "reasoning",
            "id": draw(ids),
            "summary": [{"type": "summary_text", "text": draw(texts)}],
            "encrypted_content": draw(texts),
            **made_by,
        },
        {
            "type": "message",
            "id": draw(ids),
            "role": "assistant",
            "status": "completed",
            "content": [part],
            **made_by,
        },
        {
            "type": "function_call",
            "id": draw(ids),
            "call_id": call_id,
            "name": draw(words | texts),
            "arguments": draw(st.sampled_from(["{}", "", '{"title":  "é"}', '{"title": '])),
            **made_by,
        },
    ]
    kept = [item for item in items if draw(st.booleans())]
    if items[-1] in kept:
        kept.append({"type": "function_call_output", "call_id": call_id, "output": draw(texts)})
    return kept


@st.composite
def agent_settings(draw: st.DrawFn) -> ModelSettings:
    given_: dict[str, Any] = {
        "temperature": 0.5,
        "max_tokens": 100,
        "store": False,
        "parallel_tool_calls": False,
        "tool_choice": "required",
        "metadata": {"of": "é"},
        "reasoning": Reasoning(effort="low"),
        "verbosity": "low",
        "extra_headers": {"user-agent": "mine", "X-More": "1"},
        "extra_query": {"api": "é", "list": [1, 2]},
        "extra_body": {"top_k": 3, "temperature": 0},
        "extra_args": {"service_tier": "flex", "user": "x"},
    }
    return ModelSettings(**{name: given_[name] for name in given_ if draw(st.booleans())})


class Wire:
    """What is sent to a vendor that answers nothing but 500."""

    def __init__(self) -> None:
        self.requests: list[httpx2.Request] = []
        self.client = httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer))

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return httpx2.Response(500, json={"error": {"message": "No."}})


async def _unused(*_: Any) -> str:
    raise AssertionError("no tool is called here")


TOOL = FunctionTool(
    name="add_task",
    description="Add a task: „é“",
    params_json_schema={
        "type": "object",
        "properties": {"title": {"type": "string"}},
        "required": ["title"],
        "additionalProperties": False,
    },
    on_invoke_tool=_unused,
)


async def sent(
    api: str, streams: bool, turns: list[PastTurn], turn: list[Any], asked: ModelSettings
) -> tuple[httpx2.Request, httpx2.Request]:
    """What our client sends, and what OpenAI's own sends when the SDK gets the whole input."""
    ours, own = Wire(), Wire()
    settings_ = Settings(_env_file=None).model_copy(update={"openai_api": api})
    history = model_input(turns, tokens_max=100_000)
    named = openai_model(MODEL, VendorClient(http_client=ours.client, **OPTIONS), settings_)
    record = Record(history)
    record.streams = streams
    rest: Any = (None, [], ModelTracing.DISABLED)
    attempt = Attempt(named, record, SaidBefore(history))
    with pytest.raises(ModelFailed):
        await attempt.answer(INSTRUCTIONS, turn, asked, [TOOL], *rest)

    client = AsyncOpenAI(http_client=own.client, **OPTIONS)
    kind = OpenAIResponsesModel if api == "responses" else OpenAIChatCompletionsModel
    model = kind(MODEL, client)
    whole: Any = [*history, *readable_by_any(turn)]
    resolved = asked.resolve(named.settings)
    ask: Any = model.stream_response if streams else model.get_response
    answer = ask(INSTRUCTIONS, whole, resolved, [TOOL], *rest)
    with pytest.raises(APIStatusError):
        await (anext(answer) if streams else answer)
    [one], [other] = ours.requests, own.requests
    return one, other


@settings(max_examples=50, deadline=None)
@given(past_turns(), texts, st.lists(answers(), max_size=2), agent_settings(), st.booleans())
@pytest.mark.parametrize("api", ["responses", "chat_completions"])
def test_a_request_is_what_the_client_itself_sends(
    api: str,
    turns: list[PastTurn],
    said: str,
    answered: list[list[InputItem]],
    asked: ModelSettings,
    streams: bool,
) -> None:
    turn = [{"role": "user", "content": said}, *(item for items in answered for item in items)]
    ours, own = asyncio.run(sent(api, streams, turns, turn, asked))
    assert ours.content == own.content
    assert ours.url == own.url
    # The client's note to itself, to keep a stream's answer for the SDK as it came.
    own.headers.pop("x-stainless-raw-response", None)
    assert dict(ours.headers) == dict(own.headers)
    assert ours.extensions == own.extensions


def test_a_history_is_written_once_for_each_way_of_writing() -> None:
    before = SaidBefore([{"role": "user", "content": "hi"}])
    asked: list[str] = []

    def one(items: object) -> bytes:
        asked.append("one")
        return b"1"

    def other(items: object) -> bytes:
        asked.append("other")
        return b"2"

    assert [before.written(write) for write in (one, one, other, one)] == [b"1", b"1", b"2", b"1"]
    assert asked == ["one", "other"]

"""The stand-in for the vendor speaks both APIs as the vendor's own library reads them."""

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from openai import APIConnectionError, APIStatusError, AsyncOpenAI, OpenAIError
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter
from tests.assistant.vendor import chat_api, responses_api
from tests.assistant.vendor.__main__ import step_of
from tests.assistant.vendor.endpoint import vendor
from tests.assistant.vendor.steps import (
    Always,
    Answer,
    Step,
    always,
    calls,
    calls_raw,
    empty,
    ends_early,
    fails,
    fails_inside,
    garbage,
    halves,
    incomplete,
    refuses,
    resets,
    says,
    thinks,
    together,
)

ANSWERS = [
    says("Hello to you."),
    calls("add_task", title="Buy milk"),
    together(thinks("sealed"), calls("list_tasks"), calls_raw("add_task", '{"title": ')),
    together(says("I will."), calls("list_tasks")),
    refuses("I can't help with that."),
    incomplete("cut in the mid"),
    empty(),
    says("a\x00b\ud800"),
]


def client(url: str) -> AsyncOpenAI:
    return AsyncOpenAI(api_key="k", base_url=url, max_retries=0, timeout=60)


async def events(source: Any) -> AsyncIterator[Any]:
    async for event in source:
        yield event


@pytest.mark.parametrize("answer", ANSWERS)
def test_every_answer_is_what_the_library_says_that_the_apis_answer(answer: Answer) -> None:
    body = responses_api.body_of(answer, "gpt-a", "1")
    Response.model_validate(body)
    told = list(responses_api.events_of(body))
    for event in told:
        TypeAdapter(ResponseStreamEvent).validate_python(event)
    assert told[-1]["response"] == body
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    completion = chat_api.body_of(answer, "gpt-a", "1")
    ChatCompletion.model_validate(completion)
    for chunk in chat_api.chunks_of(completion, with_usage=True):
        ChatCompletionChunk.model_validate(chunk)


@pytest.mark.parametrize("answer", [one for one in ANSWERS if one.parts])
async def test_a_stream_adds_up_to_the_same_answer(answer: Answer) -> None:
    async with vendor(always(answer)) as standing, client(standing.url) as openai:
        whole = await openai.responses.create(model="gpt-a", input="hello")
        streamed = [
            event
            async for event in events(
                await openai.responses.create(model="gpt-a", input="hello", stream=True)
            )
        ]
        said = [{"role": "user", "content": "hello"}]
        completion = await openai.chat.completions.create(model="gpt-a", messages=said)  # type: ignore[arg-type]
        chunks = [
            chunk
            async for chunk in events(
                await openai.chat.completions.create(  # type: ignore[call-overload]
                    model="gpt-a",
                    messages=said,
                    stream=True,
                    stream_options={"include_usage": True},
                )
            )
        ]
    text = "".join(event.delta for event in streamed if event.type.endswith("text.delta"))
    assert text == whole.output_text
    assert streamed[-1].response.usage == whole.usage
    [choice] = completion.choices
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == (choice.message.content or "")
    assert "".join(delta.refusal or "" for delta in deltas) == (choice.message.refusal or "")
    written = [
        call.function.arguments
        for call in choice.message.tool_calls or ()
        if call.type == "function"
    ]
    pieces = [call for delta in deltas for call in delta.tool_calls or ()]
    assert written == [
        "".join(piece.function.arguments for piece in pieces if piece.index == index)
        for index in range(len(written))
    ]
    assert chunks[-1].usage == completion.usage
    assert [request.stream for request in standing.requests] == [False, True] * 2


async def test_tokens_are_told_only_to_who_asks_for_them() -> None:
    async with vendor(says("Hello.")) as standing, httpx.AsyncClient() as http:
        said = [{"role": "user", "content": "hello"}]
        asked = {"model": "gpt-a", "messages": said, "stream": True}
        answer = await http.post(f"{standing.url}/chat/completions", json=asked)
    assert "usage" not in answer.text
    assert answer.text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("step", "error"),
    [
        (fails(429, retry_after=7), APIStatusError),
        (resets(), APIConnectionError),
        (halves(), APIConnectionError),
        (fails_inside(), OpenAIError),
    ],
)
async def test_a_fault_is_what_the_library_takes_it_for(
    step: Step, error: type[Exception], stream: bool
) -> None:
    async with vendor(step) as standing, client(standing.url) as openai:

        async def answered() -> Any:
            answer = await openai.chat.completions.create(
                model="gpt-a", messages=[{"role": "user", "content": "hello"}], stream=stream
            )
            return [chunk async for chunk in events(answer)]

        with pytest.raises(error):
            await answered()


async def test_each_model_has_its_script_and_the_rest_share_one() -> None:
    async with vendor(says("Shared."), scripts={"gpt-a": [fails(500), says("Own.")]}) as standing:
        async with client(standing.url) as openai:

            async def ask(model: str) -> str:
                return (await openai.responses.create(model=model, input="hello")).output_text

            before = time.monotonic()
            assert await ask("gpt-b") == "Shared."
            with pytest.raises(APIStatusError):
                await ask("gpt-a")
            assert await ask("gpt-a") == "Own."
            standing.then(says("More."), model="gpt-a")
            assert await ask("gpt-a") == "More."
    assert standing.asked == ["gpt-b", "gpt-a", "gpt-a", "gpt-a"]
    moments = [request.at for request in standing.requests]
    assert moments == sorted(moments)
    assert before < moments[0]
    assert standing.requests[0].headers["authorization"] == "Bearer k"


async def test_a_script_that_is_too_short_fails_its_test() -> None:
    async def outlive_the_script() -> None:
        async with vendor() as standing, client(standing.url) as openai:
            with pytest.raises(APIStatusError):
                await openai.responses.create(model="gpt-a", input="hello")

    with pytest.raises(AssertionError, match="gpt-a"):
        await outlive_the_script()


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        (
            "responses",
            {"input": [{"type": "function_call_output", "call_id": "c", "output": "{}"}]},
        ),
        (
            "responses",
            {
                "input": [
                    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                    {"role": "user", "content": "hello"},
                ]
            },
        ),
        ("chat/completions", {"messages": [{"role": "tool", "tool_call_id": "c", "content": ""}]}),
        (
            "chat/completions",
            {
                "messages": [
                    {"role": "assistant", "tool_calls": [{"id": "c"}]},
                    {"role": "user", "content": "hello"},
                ]
            },
        ),
    ],
)
async def test_half_a_pair_is_refused_as_the_vendor_refuses_it(
    path: str, asked: dict[str, Any]
) -> None:
    async with vendor() as standing, httpx.AsyncClient() as http:
        answer = await http.post(f"{standing.url}/{path}", json={"model": "gpt-a", **asked})
    assert answer.status_code == 400


async def test_a_model_is_known_where_it_has_a_script() -> None:
    async with vendor(scripts={"gpt-a": [says("Hello.")]}) as standing:
        async with client(standing.url) as openai:
            assert (await openai.models.retrieve("gpt-a")).id == "gpt-a"
            with pytest.raises(APIStatusError):
                await openai.models.retrieve("gpt-b")


async def test_garbage_and_early_ends_are_sent_as_they_are() -> None:
    async with vendor(garbage("{]"), ends_early(words=2)) as standing:
        async with httpx.AsyncClient() as http:
            asked = {"model": "gpt-a", "input": "hello"}
            answer = await http.post(f"{standing.url}/responses", json={**asked, "input": []})
            assert (answer.status_code, answer.text) == (200, "{]")
            answer = await http.post(
                f"{standing.url}/responses", json={**asked, "input": [], "stream": True}
            )
    assert answer.text.count(".delta\n") == 2
    assert "response.completed" not in answer.text


def test_steps_can_be_written_on_a_command_line() -> None:
    assert step_of("always(fails(429, retry_after=1))") == Always(fails(429, retry_after=1))
    assert step_of('calls("add_task", title="Milk")') == calls("add_task", title="Milk")
    for nonsense in ("open('x')", "says.__class__", "(lambda: 1)()"):
        with pytest.raises(ValueError, match=r"no step|malformed"):
            step_of(nonsense)

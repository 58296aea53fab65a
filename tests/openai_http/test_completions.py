"""`/v1/chat/completions` and `/v1/models`, through OpenAI's own client."""

from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from tests.conftest import AppMaker
from tests.factories import Person, calls_tool, says, scripted
from tests.live.served import served
from tests.openai_http.conftest import Clients, client_of

IN_A = {"conversation_id": "a"}


async def completed(client: AsyncOpenAI, said: str, **request: Any) -> ChatCompletion:
    """The answer to a message, checked by the client's own types."""
    answer = await client.chat.completions.create(
        model="taskchat", messages=[{"role": "user", "content": said}], **request
    )
    return ChatCompletion.model_validate_json(answer.model_dump_json())


def text_of(completion: ChatCompletion) -> str:
    [choice] = completion.choices
    assert choice.finish_reason == "stop"
    return choice.message.content or ""


async def streamed(client: AsyncOpenAI, said: str, **request: Any) -> list[ChatCompletionChunk]:
    """The chunks of an answer, checked by the client's own types."""
    stream = await client.chat.completions.create(
        model="taskchat", messages=[{"role": "user", "content": said}], stream=True, **request
    )
    return [
        ChatCompletionChunk.model_validate_json(chunk.model_dump_json()) async for chunk in stream
    ]


def read(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


async def test_a_message_is_answered(clients: Clients) -> None:
    async with clients(Person()) as client:
        answer = await completed(client, "Add task: Tea")
        assert text_of(answer) == "Added “Tea”."
        assert answer.choices[0].message.tool_calls is None


async def test_a_stream_says_what_the_whole_says(clients: Clients) -> None:
    async with clients(Person()) as client:
        chunks = await streamed(client, "Add task: Tea", stream_options={"include_usage": True})
        assert read(chunks) == "Added “Tea”."
        assert [choice.finish_reason for choice in chunks[-2].choices] == ["stop"]
        assert chunks[-1].choices == []
        assert chunks[-1].usage is not None
        assert len({chunk.id for chunk in chunks}) == 1
        without = await streamed(client, "Hello")
        assert all(chunk.usage is None for chunk in without)


async def test_a_conversation_is_named_by_metadata_or_header(clients: Clients) -> None:
    async with clients(Person()) as client:
        first = await completed(client, "Add task: Tea", metadata=IN_A)
        assert first.metadata is not None
        id_ = first.metadata["conversation_id"]
        for request in (
            {"metadata": IN_A},
            {"metadata": {"conversation_id": id_}},
            {"extra_headers": {"X-Conversation-Id": id_}},
        ):
            again = await completed(client, "What is on my list?", **request)
            assert again.metadata == first.metadata
        assert (await completed(client, "Hello")).metadata != first.metadata
        response = await client.responses.create(input="Hello", conversation="a")
        assert response.conversation is not None
        assert response.conversation.id == id_


async def test_a_history_counts_only_where_it_is_kept(clients: Clients) -> None:
    messages: Any = [
        {"role": "system", "content": "Talk like a pirate."},
        {"role": "user", "content": "Add task: Tea"},
        {"role": "assistant", "content": "Added."},
        {"role": "user", "content": [{"type": "text", "text": "What is on my list?"}]},
    ]
    async with clients(Person()) as client:
        with pytest.raises(openai.BadRequestError) as refused:
            await client.chat.completions.create(model="taskchat", messages=messages)
        assert refused.value.param == "metadata.conversation_id"
        await completed(client, "Add task: Milk", metadata=IN_A)
        answer = await client.chat.completions.create(
            model="taskchat", messages=messages, metadata=IN_A
        )
        assert "Milk" in text_of(answer)
        assert "Tea" not in text_of(answer)


@pytest.mark.parametrize(("answer", "left"), [("Approve", False), ("reject", True)])
async def test_an_approval_is_asked_and_answered_by_text(
    clients: Clients, answer: str, left: bool
) -> None:
    async with clients(Person()) as client:
        await completed(client, "Add task: Tea", metadata=IN_A)
        await completed(client, "Add task: Milk", metadata=IN_A)
        chunks = await streamed(client, "Delete tasks 1 and 2", metadata=IN_A)
        assert read(chunks).endswith("\n\nReply “approve” or “reject”.")
        await completed(client, answer, metadata=IN_A)
        listed = text_of(await completed(client, "What is on my list?", metadata=IN_A))
        assert ("Tea" in listed) is left


async def test_another_message_goes_past_the_question(clients: Clients) -> None:
    async with clients(Person()) as client:
        await completed(client, "Add task: Tea", metadata=IN_A)
        await completed(client, "Add task: Milk", metadata=IN_A)
        asked = text_of(await completed(client, "Delete tasks 1 and 2", metadata=IN_A))
        assert asked.endswith("Reply “approve” or “reject”.")
        listed = text_of(await completed(client, "What is on my list?", metadata=IN_A))
        assert "Tea" in listed


async def test_a_failed_run_is_raised_by_the_stream(running_app: AppMaker) -> None:
    _, chain = scripted([calls_tool("add_task", {"title": "Tea"})], ValueError("broken"))
    async with (
        running_app(chain=chain) as running,
        served(running) as url,
        client_of(url, Person()) as client,
    ):
        with pytest.raises(openai.APIError) as failed:
            await streamed(client, "Go")
        assert failed.value.code in ("model_error", "internal_error")


async def test_what_is_said_before_a_call_is_kept_apart(running_app: AppMaker) -> None:
    _, chain = scripted(
        [*says("I see."), calls_tool("add_task", {"title": "Tea"})],
        says("Done."),
        [*says("I see."), calls_tool("add_task", {"title": "Tea"})],
        says("Done."),
    )
    async with (
        running_app(chain=chain) as running,
        served(running) as url,
        client_of(url, Person()) as client,
    ):
        assert read(await streamed(client, "Go")) == "I see.\n\nDone."


async def test_there_is_one_model(clients: Clients) -> None:
    async with clients(Person()) as client:
        assert [model.id async for model in client.models.list()] == ["taskchat"]
        assert (await client.models.retrieve("taskchat")).id == "taskchat"
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("gpt-4o")
        with pytest.raises(openai.NotFoundError) as refused:
            await client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": "Hello"}]
            )
        assert refused.value.param == "model"


async def test_another_users_conversation_is_none(clients: Clients) -> None:
    async with clients(Person()) as owner, clients(Person()) as stranger:
        theirs = await completed(owner, "Add task: The secret plan", metadata=IN_A)
        with pytest.raises(openai.NotFoundError):
            await completed(stranger, "Hello", metadata=theirs.metadata)
        listed = text_of(await completed(stranger, "What is on my list?", metadata=IN_A))
        assert "secret plan" not in listed

"""`/v1/responses`, through OpenAI's own client."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseStreamEvent,
)
from openai.types.responses.response_output_item import McpApprovalRequest, McpCall
from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person, calls_tool, says, scripted
from tests.feedback.test_questions import QUESTION, Asking, may_ask
from tests.live.served import Speaker, served
from tests.openai_http.conftest import Clients, client_of

from taskchat.moments import new_id

__all__ = ["may_ask"]

EVENTS: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
"""Reads an event strictly; the client itself takes anything."""

UNKNOWN = f"resp_{new_id().hex}"


def strictly(response: Response) -> Response:
    """The response, every field of it as the client's own types have it."""
    return Response.model_validate_json(response.model_dump_json(by_alias=True))


def calls(response: Response) -> list[McpCall]:
    return [item for item in response.output if isinstance(item, McpCall)]


def approvals(response: Response) -> list[McpApprovalRequest]:
    return [item for item in response.output if isinstance(item, McpApprovalRequest)]


def decided(response: Response, **answer: Any) -> Any:
    """The answer to all that a response asks."""
    return [
        {"type": "mcp_approval_response", "approval_request_id": item.id, **answer}
        for item in approvals(response)
    ]


async def told(client: AsyncOpenAI, **request: Any) -> list[ResponseStreamEvent]:
    """What a stream tells, checked strictly."""
    stream = await client.responses.create(stream=True, **request)
    return [strict(event) async for event in stream]


def strict(event: ResponseStreamEvent) -> ResponseStreamEvent:
    return EVENTS.validate_json(event.model_dump_json(by_alias=True))


async def whole(client: AsyncOpenAI, **request: Any) -> Response:
    return strictly(await client.responses.create(**request))


async def test_a_message_is_answered_with_a_call_and_a_reply(clients: Clients) -> None:
    async with clients(Person()) as client:
        response = await whole(client, model="taskchat", input="Add task: Tea")
        assert response.status == "completed"
        assert [item.type for item in response.output] == ["mcp_call", "message"]
        [call] = calls(response)
        assert (call.name, json.loads(call.arguments)) == ("add_task", {"title": "Tea"})
        assert json.loads(call.output or "")["task_id"] == 1
        assert response.output_text == "Added “Tea”."
        assert strictly(await client.responses.retrieve(response.id)) == response


async def test_a_client_that_blocks_talks_and_streams(
    blocking: Callable[[Person], OpenAI],
) -> None:
    def talk() -> tuple[str, str]:
        with blocking(Person()) as client:
            first = client.responses.create(input="Add task: Tea")
            with client.responses.stream(
                model="taskchat", input="What is on my list?", previous_response_id=first.id
            ) as stream:
                for _ in stream:
                    pass
                return first.output_text, stream.get_final_response().output_text

    said, listed = await asyncio.to_thread(talk)
    assert said == "Added “Tea”."
    assert "Tea" in listed


async def test_a_stream_tells_what_is_read_later(clients: Clients) -> None:
    async with clients(Person()) as client:
        events = await told(client, input="Add task: Tea")
        assert [event.sequence_number for event in events] == list(range(len(events)))
        types = [event.type for event in events]
        assert types[:2] == ["response.created", "response.in_progress"]
        assert "response.mcp_call.completed" in types
        last = events[-1]
        assert isinstance(last, ResponseCompletedEvent)
        deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
        assert "".join(deltas) == last.response.output_text == "Added “Tea”."
        assert strictly(await client.responses.retrieve(last.response.id)) == last.response


async def test_a_stream_is_resumed_behind_any_event(clients: Clients) -> None:
    async with clients(Person()) as client:
        events = await told(client, input="Add task: Tea")
        first = events[0]
        assert first.type == "response.created"
        for place in range(len(events)):
            again = await client.responses.retrieve(
                first.response.id, stream=True, starting_after=place
            )
            assert [strict(event) async for event in again] == events[place + 1 :]
        from_the_beginning = await client.responses.retrieve(first.response.id, stream=True)
        assert [strict(event) async for event in from_the_beginning] == events


async def test_a_running_response_is_followed_by_another_client(running_app: AppMaker) -> None:
    model, person = Speaker("One ", "two ", "three."), Person()
    async with (
        running_app(chain=model.chain, sse_ping_s=0.01) as running,
        served(running) as url,
        client_of(url, person) as client,
        client_of(url, person) as other,
    ):
        stream = await client.responses.create(input="Count", stream=True)
        heard: list[ResponseStreamEvent] = []
        async for event in stream:
            heard.append(strict(event))
            if event.type == "response.in_progress":
                model.let(1)
            if event.type == "response.output_text.delta":
                break
        await stream.close()
        id_ = heard[0].response.id if heard[0].type == "response.created" else ""
        now = strictly(await other.responses.retrieve(id_))
        assert (now.status, now.output_text) == ("in_progress", "One")
        rest = await other.responses.retrieve(
            id_, stream=True, starting_after=heard[-1].sequence_number
        )
        # Comments keep it alive meanwhile, which the client has to pass over.
        async with (
            httpx.AsyncClient(headers=person.headers) as plain,
            plain.stream("GET", f"{url}/v1/responses/{id_}?stream=true") as lines,
        ):
            comments = (line async for line in lines.aiter_lines() if line.startswith(":"))
            assert await anext(comments)
            assert await anext(comments)
        model.let()
        heard += [strict(event) async for event in rest]
        assert [event.sequence_number for event in heard] == list(range(len(heard)))
        deltas = [event.delta for event in heard if event.type == "response.output_text.delta"]
        assert "".join(deltas) == "One two three."


async def test_a_stream_that_breaks_goes_on_at_another_process(running_app: AppMaker) -> None:
    model, person = Speaker("One ", "two ", "three."), Person()
    async with (
        running_app(chain=model.chain) as running,
        running_app() as another,
        served(running) as url,
        served(another) as other_url,
        client_of(url, person) as client,
        client_of(other_url, person) as other,
    ):
        heard: list[ResponseStreamEvent] = []
        stream = await client.responses.create(input="Count", stream=True)
        async for event in stream:
            heard.append(strict(event))
            if event.type == "response.in_progress":
                break
        await stream.close()
        model.let()
        first = heard[0]
        assert first.type == "response.created"
        rest = await other.responses.retrieve(
            first.response.id, stream=True, starting_after=heard[-1].sequence_number
        )
        heard += [strict(event) async for event in rest]
        assert [event.sequence_number for event in heard] == list(range(len(heard)))
        last = heard[-1]
        assert isinstance(last, ResponseCompletedEvent)
        assert last.response.output_text == "One two three."
        assert strictly(await other.responses.retrieve(last.response.id)) == last.response


async def test_a_response_whose_events_are_forgotten_is_still_told(
    clients: Clients, superuser: AsyncEngine
) -> None:
    person = Person()
    async with clients(person) as client:
        response = await whole(client, input="Add task: Tea")
        async with superuser.begin() as connection:
            await connection.execute(
                text("DELETE FROM turn_events WHERE user_id = :owner"), {"owner": person.user_id}
            )
        again = strictly(await client.responses.retrieve(response.id))
        # The row and the event may be of either side of a second.
        assert again.model_copy(update={"completed_at": response.completed_at}) == response
        events = [
            strict(event)
            async for event in await client.responses.retrieve(response.id, stream=True)
        ]
        assert events[-1].type == "response.completed"


async def test_a_response_goes_on_from_the_one_it_names(clients: Clients) -> None:
    async with clients(Person()) as client:
        first = await whole(client, input="Add task: Tea")
        second = await whole(client, input="What is on my list?", previous_response_id=first.id)
        assert second.previous_response_id == first.id
        assert second.conversation == first.conversation
        assert "Tea" in second.output_text


async def test_two_responses_that_go_on_from_the_same_are_two_branches(
    clients: Clients, offline_app: RunningApp
) -> None:
    person = Person()
    async with clients(person) as client:
        first = await whole(client, input="Add task: Tea")
        one = await whole(client, input="Add task: Milk", previous_response_id=first.id)
        other = await whole(client, input="Add task: Soap", previous_response_id=first.id)
        third = await whole(client, input="Add task: Oats", previous_response_id=other.id)
        assert {one.previous_response_id, other.previous_response_id} == {first.id}
        assert third.previous_response_id == other.id
        assert first.conversation is not None
        conversation = first.conversation.id.removeprefix("conv_")
        shown = await offline_app.client.get(
            f"/api/{person.user_id}/conversations/{as_uuid(conversation)}/messages",
            headers=person.headers,
        )
        said = [one["content"] for one in shown.json()["data"] if one["role"] == "user"]
        assert sorted(said) == ["Add task: Oats", "Add task: Soap", "Add task: Tea"]


def as_uuid(text: str) -> str:
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


async def test_a_conversation_has_any_name_or_its_own_id(clients: Clients) -> None:
    async with clients(Person()) as client:
        first = await whole(client, input="Add task: Tea", conversation="groceries")
        assert first.conversation is not None
        id_ = first.conversation.id
        for name in ("groceries", id_, as_uuid(id_.removeprefix("conv_")), {"id": "groceries"}):
            again = await whole(client, input="What is on my list?", conversation=name)
            assert again.conversation == first.conversation
        assert (await whole(client, input="Hello")).conversation != first.conversation


async def test_only_the_last_message_of_a_resent_history_is_read(clients: Clients) -> None:
    async with clients(Person()) as client:
        first = await whole(client, input="Add task: Tea", conversation="a")
        history: list[Any] = [{"role": "user", "content": "Add task: Tea"}]
        history += [item.model_dump(exclude_none=True) for item in first.output]
        history += [
            {"role": "developer", "content": "Talk like a pirate."},
            {"role": "user", "content": [{"type": "input_text", "text": "What is on my list?"}]},
        ]
        again = await whole(client, input=history, conversation="a")
        assert again.output_text.count("Tea") == 1
        with pytest.raises(openai.BadRequestError) as refused:
            await client.responses.create(input=history)
        assert refused.value.param == "conversation"


async def test_a_response_in_the_background_is_answered_at_once(running_app: AppMaker) -> None:
    model, person = Speaker("Well."), Person()
    async with (
        running_app(chain=model.chain) as running,
        served(running) as url,
        client_of(url, person) as client,
    ):
        begun = await whole(client, input="Hello", background=True)
        assert begun.status in ("queued", "in_progress")
        waiting = await whole(client, input="And?", background=True, previous_response_id=begun.id)
        assert waiting.previous_response_id == begun.id
        model.let()
        events = [
            strict(event) async for event in await client.responses.retrieve(begun.id, stream=True)
        ]
        assert isinstance(events[-1], ResponseCompletedEvent)
        assert events[-1].response.output_text == "Well."
        await client.responses.cancel(waiting.id)


async def test_a_response_is_cancelled_once(running_app: AppMaker) -> None:
    model, person = Speaker("One ", "two."), Person()
    async with (
        running_app(chain=model.chain) as running,
        served(running) as url,
        client_of(url, person) as client,
    ):
        stream = await client.responses.create(input="Count", stream=True)
        id_, types = "", []
        async for event in stream:
            types.append(strict(event).type)
            if event.type == "response.created":
                id_ = event.response.id
                model.let(1)
            if event.type == "response.output_text.delta":
                await client.responses.cancel(id_)
        assert types[-1] == "response.incomplete"
        for _ in range(2):
            cancelled = strictly(await client.responses.cancel(id_))
            assert (cancelled.status, cancelled.output_text) == ("cancelled", "One")


async def test_a_complete_response_is_not_cancelled(clients: Clients) -> None:
    async with clients(Person()) as client:
        response = await whole(client, input="Hello")
        with pytest.raises(openai.ConflictError) as refused:
            await client.responses.cancel(response.id)
        assert refused.value.code == "turn_not_cancellable"


async def test_a_call_that_needs_approval_is_asked_about_and_then_made(clients: Clients) -> None:
    async with clients(Person()) as client:
        await whole(client, input="Add task: Tea", conversation="a")
        await whole(client, input="Add task: Milk", conversation="a")
        asked = await whole(client, input="Delete tasks 1 and 2", conversation="a")
        assert asked.status == "completed"
        assert [json.loads(item.arguments) for item in approvals(asked)] == [
            {"task_id": 1},
            {"task_id": 2},
        ]
        assert "Tea" in asked.output_text
        events = await told(
            client, input=decided(asked, approve=True), previous_response_id=asked.id
        )
        done = events[-1]
        assert isinstance(done, ResponseCompletedEvent)
        assert done.response.previous_response_id == asked.id
        assert [call.approval_request_id for call in calls(done.response)] == [
            item.id for item in approvals(asked)
        ]
        assert strictly(await client.responses.retrieve(asked.id)) == asked
        assert strictly(await client.responses.retrieve(done.response.id)) == done.response
        assert [event.sequence_number for event in events] == list(range(len(events)))
        # Told again, it is the same; told otherwise, it is too late.
        again = await whole(
            client, input=decided(asked, approve=True), previous_response_id=asked.id
        )
        assert again == done.response
        with pytest.raises(openai.ConflictError) as refused:
            await client.responses.create(
                input=decided(asked, approve=False), previous_response_id=asked.id
            )
        assert refused.value.code == "feedback_closed"
        after = await whole(
            client, input="What is on my list?", previous_response_id=done.response.id
        )
        assert after.previous_response_id == done.response.id
        items = await client.responses.input_items.list(done.response.id, order="asc")
        assert [item.type for item in items.data] == ["mcp_approval_response"] * 2


async def test_a_call_that_is_refused_is_not_made(clients: Clients) -> None:
    async with clients(Person()) as client:
        await whole(client, input="Add task: Tea", conversation="a")
        await whole(client, input="Add task: Milk", conversation="a")
        asked = await whole(client, input="Delete tasks 1 and 2", conversation="a")
        answers: Any = decided(asked, approve=False, reason="I need them.")
        with pytest.raises(openai.BadRequestError):
            await client.responses.create(input=answers[:1], conversation="a")
        after = await whole(client, input=answers, conversation="a")
        assert all(call.status == "failed" for call in calls(after))
        left = await whole(client, input="What is on my list?", conversation="a")
        assert "Tea" in left.output_text
        assert "Milk" in left.output_text


async def test_a_question_is_answered_with_the_next_text(
    running_app: AppMaker, may_ask: str
) -> None:
    async with (
        running_app(chain=Asking(QUESTION).chain, agent_config_path=may_ask) as running,
        served(running) as url,
        client_of(url, Person()) as client,
    ):
        asked = await whole(client, input="Buy milk")
        assert asked.output_text == "Which milk?\n- Oat\n- Soy"
        answered = await whole(client, input="Oat", previous_response_id=asked.id)
        assert "Oat" in answered.output_text
        assert answered.id == f"{asked.id}_2"
        items = await client.responses.input_items.list(answered.id)
        [said] = items.data
        assert said.type == "message"


async def test_what_was_said_is_listed(clients: Clients) -> None:
    async with clients(Person()) as client:
        response = await whole(client, input="Add task: Tea")
        items = await client.responses.input_items.list(response.id)
        [said] = items.data
        assert said.type == "message"
        assert said.to_dict()["content"] == [{"type": "input_text", "text": "Add task: Tea"}]
        with pytest.raises(openai.BadRequestError):
            await client.responses.input_items.list(response.id, after="msg_0")
        with pytest.raises(openai.NotFoundError):
            await client.responses.input_items.list(f"{response.id}_2")


async def test_the_same_key_is_the_same_response(clients: Clients) -> None:
    async with clients(Person()) as client:
        first = await whole(client, input="Hello")
        for before in (None, first.id):
            key = {"Idempotency-Key": f"key-{before}"}
            one, other = [
                await whole(
                    client,
                    input="Add task: Tea",
                    previous_response_id=before,
                    extra_headers=key,
                )
                for _ in range(2)
            ]
            assert one == other


async def test_a_failed_run_is_an_error_that_is_not_repeated(running_app: AppMaker) -> None:
    _, chain = scripted(ValueError("broken"), ValueError("broken"), says("Hello."))
    person = Person()
    async with (
        running_app(chain=chain) as running,
        served(running) as url,
        client_of(url, person, max_retries=2) as client,
    ):
        with pytest.raises(openai.InternalServerError) as failed:
            await client.responses.create(input="Hello")
        assert failed.value.response.headers["x-should-retry"] == "false"
        page = await running.client.get(
            f"/api/{person.user_id}/conversations", headers=person.headers
        )
        [conversation] = page.json()["data"]
        # The client would have said it three times.
        assert conversation["turns"] == 1


async def test_calls_before_a_reply_stand_before_it(running_app: AppMaker) -> None:
    _, chain = scripted(
        [calls_tool("add_task", {"title": "Tea"})],
        [calls_tool("complete_task", {"task_id": 9})],
        says("Done what I could."),
    )
    async with (
        running_app(chain=chain) as running,
        served(running) as url,
        client_of(url, Person()) as client,
    ):
        response = await whole(client, input="Go")
        done, failed = calls(response)
        assert (done.status, failed.status) == ("completed", "failed")
        assert failed.output is None
        assert "No task 9" in str(failed.error)
        assert response.output[-1].type == "message"


async def test_nobody_reaches_another_users_responses(clients: Clients) -> None:
    async with clients(Person()) as owner, clients(Person()) as stranger:
        theirs = await whole(owner, input="Add task: The secret plan", conversation="a")
        assert theirs.conversation is not None
        answers = []
        for id_, conversation in (
            (theirs.id, theirs.conversation.id),
            (UNKNOWN, f"conv_{new_id().hex}"),
        ):
            for attempt in (
                stranger.responses.retrieve(id_),
                stranger.responses.retrieve(id_, stream=True),
                stranger.responses.cancel(id_),
                stranger.responses.create(input="Hello", previous_response_id=id_),
                stranger.responses.create(input="Hello", conversation=conversation),
            ):
                with pytest.raises(openai.NotFoundError) as refused:
                    await attempt
                message = refused.value.message.replace(conversation, "")
                answers.append(message.replace(as_uuid(conversation.removeprefix("conv_")), ""))
            with pytest.raises(openai.NotFoundError) as refused:
                await stranger.responses.input_items.list(id_)
            answers.append(refused.value.message)
        assert answers[: len(answers) // 2] == answers[len(answers) // 2 :]
        # The same name is another conversation.
        mine = await whole(stranger, input="What is on my list?", conversation="a")
        assert "secret plan" not in mine.output_text
        assert mine.conversation != theirs.conversation

"""What a client begins with, resuming what runs, stopping it, and other versions."""

import asyncio
from typing import Any

import httpx
from tests.answers import error_of
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person, says, scripted
from tests.feedback.test_approvals import Deleting, with_tasks
from tests.feedback.test_questions import QUESTION, Asking, may_ask
from tests.live.served import Speaker, served
from tests.turns.test_steering import ADDS, Scripted, Talk, steering
from tests.ui.chatting import chunks, hydrated, kinds, path, send, text, user

__all__ = ["may_ask"]


async def resumed(
    client: httpx.AsyncClient, person: Person, chat: str = "c1", **query: str
) -> httpx.Response:
    return await client.get(path(person, chat, "stream"), headers=person.headers, params=query)


def shown(messages: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [
        (
            message["role"],
            "".join(part["text"] for part in message["parts"] if part["type"] == "text"),
        )
        for message in messages
    ]


async def test_a_chat_is_hydrated_as_it_was_streamed(offline_app: RunningApp) -> None:
    person = Person()
    told = chunks(await send(offline_app.client, person, user("Add task: Milk")))
    first, reply = await hydrated(offline_app.client, person)
    assert (first["id"], first["role"]) == ("m1", "user")
    assert first["parts"] == [{"type": "text", "text": "Add task: Milk"}]
    assert reply["id"] == told[0]["messageId"]
    live = told[0]["messageMetadata"] | told[-1]["messageMetadata"]
    kept = reply["metadata"]
    assert {name: kept[name] for name in live if name != "created_at"} == {
        name: value for name, value in live.items() if name != "created_at"
    }
    start, tool, _, said = reply["parts"]
    call = next(chunk for chunk in told if chunk["type"] == "tool-input-available")
    output = next(chunk for chunk in told if chunk["type"] == "tool-output-available")
    assert start == {"type": "step-start"}
    assert tool == {
        "type": "tool-add_task",
        "toolCallId": call["toolCallId"],
        "state": "output-available",
        "input": call["input"],
        "output": output["output"],
        "providerExecuted": True,
    }
    assert said == {"type": "text", "text": text(told)}


async def test_a_chat_has_the_conversations_own_id_as_another_name(
    offline_app: RunningApp,
) -> None:
    person = Person()
    plain = (await person.say(offline_app.client, "Add task: Milk")).json()["conversation_id"]
    told = chunks(await send(offline_app.client, person, user("Add task: Eggs"), chat=plain))
    assert told[0]["messageMetadata"]["conversation_id"] == plain
    assert len(await hydrated(offline_app.client, person, plain)) == 4
    missing = await offline_app.client.get(path(person, "c1", "messages"), headers=person.headers)
    assert error_of(missing, 404)["error_code"] == "not_found"


async def test_pages_of_a_long_chat_join_in_whole_turns(running_app: AppMaker) -> None:
    said = [f"Message {number}" for number in range(110)]
    _, chain = scripted(*(says(f"Reply to {one}") for one in said))
    async with running_app(chain=chain, steering_max=1) as running:
        person = Person()
        for number, one in enumerate(said):
            await send(running.client, person, user(one, f"m{number}"))
        answer = await running.client.get(path(person, "c1", "messages"), headers=person.headers)
        newest = answer.json()
        assert newest["has_more"]
        older = await running.client.get(
            path(person, "c1", "messages"),
            headers=person.headers,
            params={"before": newest["next_cursor"]},
        )
        assert not older.json()["has_more"]
    whole = shown(older.json()["data"] + newest["data"])
    assert whole == [
        pair for one in said for pair in (("user", one), ("assistant", f"Reply to {one}"))
    ]


async def test_a_running_turn_is_resumed_from_its_beginning_elsewhere(
    running_app: AppMaker,
) -> None:
    model = Speaker("Hello ", "there ", "you")
    async with running_app(chain=model.chain) as one, running_app() as other:
        person = Person()
        sending = asyncio.create_task(send(one.client, person, user("Hi")))
        model.let(1)
        await model.speaking.wait()
        [_, waiting] = await hydrated(other.client, person)
        assert waiting["metadata"]["status"] == "running"
        assert waiting["parts"] == []
        async with served(other) as url, httpx.AsyncClient(base_url=url, timeout=30) as client:
            resuming = asyncio.create_task(resumed(client, person))
            behind = asyncio.create_task(send(one.client, person, user("And?", "m2")))
            await until_queued(one, person)
            model.let()
            model.let()
            told = chunks(await resuming)
        first, second = chunks(await sending), chunks(await behind)
        assert statusless(told) == statusless(first) + statusless(second)
        assert text(first) == "Hello there you"
        over = await resumed(one.client, person)
        assert (over.status_code, over.content) == (204, b"")
        # Both ended between the two requests of a client.
        late = chunks(await resumed(other.client, person, turn_id=waiting["id"]))
        assert statusless(late) == statusless(first) + statusless(second)


async def until_queued(running: RunningApp, person: Person) -> None:
    async with asyncio.timeout(30):
        while len(await hydrated(running.client, person)) < 4:
            await asyncio.sleep(0.01)


def statusless(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [chunk for chunk in told if chunk["type"] != "data-status"]


async def test_nothing_is_resumed_where_nothing_is_or_somebody_elses(
    offline_app: RunningApp,
) -> None:
    person, stranger = Person(), Person()
    told = chunks(await send(offline_app.client, person, user("Add task: Milk")))
    turn = told[0]["messageId"]
    conversation = told[0]["messageMetadata"]["conversation_id"]
    for chat in ("c1", "c2", conversation):
        answer = await resumed(offline_app.client, stranger, chat, turn_id=turn)
        assert answer.status_code == 204
    await send(offline_app.client, stranger, user("Add task: Mine"))
    answer = await resumed(offline_app.client, stranger, turn_id=turn)
    assert answer.status_code == 204


async def test_a_chat_of_another_users_id_is_ones_own(offline_app: RunningApp) -> None:
    person, stranger = Person(), Person()
    told = chunks(await send(offline_app.client, person, user("Add task: Secret")))
    conversation = told[0]["messageMetadata"]["conversation_id"]
    theirs = chunks(
        await send(offline_app.client, stranger, user("What is on my list?"), chat=conversation)
    )
    assert theirs[0]["messageMetadata"]["conversation_id"] != conversation
    assert "Secret" not in str(theirs)
    assert len(await hydrated(offline_app.client, stranger, conversation)) == 2


async def test_a_turn_is_stopped_and_keeps_what_was_said(running_app: AppMaker) -> None:
    model = Speaker("Hello ", "there ", "you")
    async with running_app(chain=model.chain, event_interval_s=0.01) as running:
        person = Person()
        async with served(running) as url, httpx.AsyncClient(base_url=url, timeout=30) as client:
            async with client.stream(
                "POST",
                path(person),
                json={"id": "c1", "message": user("Hi")},
                headers=person.headers,
            ) as answer:
                model.let(1)
                lines = answer.aiter_lines()
                async for line in lines:
                    if "text-delta" in line:
                        break
                stopped = await client.post(path(person, "c1", "stop"), headers=person.headers)
                assert (stopped.status_code, stopped.content) == (204, b"")
                rest = [line.removeprefix("data: ") async for line in lines if line]
        assert '"type":"text-end"' in rest[0]
        assert '"finishReason":"interrupted"' in rest[-2]
        [_, reply] = await hydrated(running.client, person)
        assert (reply["metadata"]["status"], shown([reply])[0][1].strip()) == ("cancelled", "Hello")
        again = await running.client.post(path(person, "c1", "stop"), headers=person.headers)
        assert again.status_code == 204
        missing = await running.client.post(path(person, "c2", "stop"), headers=person.headers)
        assert error_of(missing, 404)["error_code"] == "not_found"


async def test_what_waits_for_its_user_is_stopped_too(running_app: AppMaker) -> None:
    async with running_app(chain=Deleting(1, 2).chain) as running:
        person = await with_tasks(running, "Milk", "Eggs")
        await send(running.client, person, user("Delete both"))
        assert (await resumed(running.client, person)).status_code == 204
        await running.client.post(path(person, "c1", "stop"), headers=person.headers)
        [_, reply] = await hydrated(running.client, person)
        assert reply["metadata"]["status"] == "cancelled"
        states = {part["state"] for part in reply["parts"] if "state" in part}
        assert states == {"output-error"}
        again = chunks(await send(running.client, person, user("Delete both")))
        assert kinds(again)[-3:] == ["finish-step", "abort", "finish"]


async def test_a_question_is_answered_by_an_output(running_app: AppMaker, may_ask: str) -> None:
    async with running_app(chain=Asking(QUESTION).chain, agent_config_path=may_ask) as running:
        person = Person()
        told = chunks(await send(running.client, person, user("Buy milk")))
        [call] = [chunk for chunk in told if chunk["type"] == "tool-input-available"]
        assert (call["toolName"], call["providerExecuted"]) == ("ask_user", False)
        assert call["input"] == QUESTION
        assert told[-1]["finishReason"] == "tool-calls"
        [_, asking] = await hydrated(running.client, person)
        [part] = [part for part in asking["parts"] if part["type"] == "tool-ask_user"]
        assert part["state"] == "input-available"
        unanswered = await send(running.client, person, asking)
        assert error_of(unanswered, 400)["details"][0]["field"] == "messages"
        part |= {"state": "output-available", "output": "Oat"}
        rest = chunks(await send(running.client, person, asking, messageId=asking["id"]))
        assert kinds(rest)[:2] == ["start", "tool-output-available"]
        assert "Oat" in text(rest)
        [_, done] = await hydrated(running.client, person)
        [part] = [part for part in done["parts"] if part["type"] == "tool-ask_user"]
        assert (part["state"], part["output"]) == ("output-available", {"answer": "Oat"})


async def test_an_edit_is_another_version_and_so_is_another_reply(running_app: AppMaker) -> None:
    _, chain = scripted(*(says(reply) for reply in ("One", "Two", "Three", "Four", "Five")))
    async with running_app(chain=chain) as running:
        person = Person()
        await send(running.client, person, user("first"))
        told = chunks(await send(running.client, person, user("other words"), messageId="m1"))
        assert text(told) == "Two"
        regenerating = {"trigger": "regenerate-message", "messageId": told[0]["messageId"]}
        # Its client still calls the message as it did before the edit.
        again = chunks(await send(running.client, person, user("other words"), **regenerating))
        assert text(again) == "Three"
        first, reply = await hydrated(running.client, person)
        assert shown([first, reply]) == [("user", "other words"), ("assistant", "Three")]
        assert len(first["metadata"]["versions"]) == 2
        assert len(reply["metadata"]["versions"]) == 2
        # After a reload it has another id.
        assert first["id"] == first["metadata"]["message_id"]
        more = {"trigger": "regenerate-message", "messageId": reply["id"]}
        told = chunks(await send(running.client, person, first, **more))
        assert text(told) == "Four"
        # What never arrived is said.
        told = chunks(
            await send(running.client, person, user("new", "m9"), trigger="regenerate-message")
        )
        assert text(told) == "Five"
        assert len(await hydrated(running.client, person)) == 4


async def test_what_is_said_to_a_running_turn_is_shown_in_it(running_app: AppMaker) -> None:
    model = Scripted(ADDS, "Done")
    async with running_app(chain=model.chain) as running:
        person = Person()
        model.meanwhile[1] = steering(Talk(running, person), "and eggs")
        told = chunks(await send(running.client, person, user("Buy milk")))
        [steered] = [chunk for chunk in told if chunk["type"] == "steering-message"]
        assert steered["parts"] == [{"type": "text", "text": "and eggs"}]
        assert kinds(told)[-7:] == [
            "steering-message",
            "start-step",
            "text-start",
            "text-delta",
            "text-end",
            "finish-step",
            "finish",
        ]
        first, reply = await hydrated(running.client, person)
    assert shown([first]) == [("user", "Buy milk")]
    assert [part for part in reply["parts"] if part["type"] == "steering-message"] == [steered]

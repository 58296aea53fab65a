"""AG-UI: a message becomes a run, a run can be read again, what the agent asks interrupts one."""

import json
from typing import Any

import pytest
from tests.ag_ui.runs import body, path_of, run, running, said, snapshot, told, types, user
from tests.answers import error_of
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person
from tests.live.served import Speaker, served

ADDING = [
    "RUN_STARTED",
    "TOOL_CALL_START",
    "TOOL_CALL_ARGS",
    "TOOL_CALL_END",
    "TOOL_CALL_RESULT",
    "TEXT_MESSAGE_START",
    "TEXT_MESSAGE_CONTENT",
    "TEXT_MESSAGE_END",
    "STATE_SNAPSHOT",
    "RUN_FINISHED",
]


def once(types_: list[str]) -> list[str]:
    """The types, with neighbours of one type as one."""
    return [kind for n, kind in enumerate(types_) if n == 0 or types_[n - 1] != kind]


async def test_a_message_is_told_from_its_first_event_to_the_state_that_it_leaves(
    offline_app: RunningApp,
) -> None:
    person = Person()
    events = await run(offline_app.client, person, "a thread", user("Add task: Milk"))
    assert once(types(events)) == ADDING
    call = {event["type"]: event for event in events}
    assert call["TOOL_CALL_START"]["toolCallName"] == "add_task"
    assert json.loads(call["TOOL_CALL_ARGS"]["delta"])["title"] == "Milk"
    assert json.loads(call["TOOL_CALL_RESULT"]["content"])["status"] == "created"
    [task] = call["STATE_SNAPSHOT"]["snapshot"]["tasks"]
    assert (task["title"], task["completed"]) == ("Milk", False)
    finished = call["RUN_FINISHED"]
    assert finished["outcome"] == {"type": "success"}
    assert said(events) == finished["result"]["response"]
    assert finished["usage"][0]["model"] == "offline"


async def test_a_client_that_has_nothing_gets_all_that_was_said(offline_app: RunningApp) -> None:
    person, client = Person(), offline_app.client
    first = await run(client, person, "a thread", user("Add task: Milk", "m 1"))
    second = await run(client, person, "a thread", user("What is on my list?", "m 2"))
    events = await run(client, person, "a thread")
    assert types(events) == ["RUN_STARTED", "MESSAGES_SNAPSHOT", "STATE_SNAPSHOT", "RUN_FINISHED"]
    messages = snapshot(events)
    assert [message["role"] for message in messages] == [
        *("user", "assistant", "tool", "assistant"),
        *("user", "assistant", "tool", "assistant"),
    ]
    assert [one["id"] for one in messages if one["role"] == "user"] == ["m 1", "m 2"]
    assert messages[3]["content"] == said(first)
    assert messages[7]["content"] == said(second)
    [call] = messages[1]["toolCalls"]
    assert call["id"] == messages[2]["toolCallId"]
    started = next(event for event in first if event["type"] == "TOOL_CALL_START")
    assert call["id"] == messages[1]["id"] == started["toolCallId"]


async def test_a_thread_may_be_named_by_the_id_of_any_conversation(
    offline_app: RunningApp,
) -> None:
    person = Person()
    answer = (await person.say(offline_app.client, "Add task: Milk")).json()
    events = await run(offline_app.client, person, answer["conversation_id"])
    assert [message["role"] for message in snapshot(events)][::3] == ["user", "assistant"]
    more = await run(offline_app.client, person, answer["conversation_id"], user("Hello"))
    assert more[-1]["result"]["conversation_id"] == answer["conversation_id"]


async def test_a_thread_that_nothing_was_said_in_is_empty(offline_app: RunningApp) -> None:
    events = await run(offline_app.client, Person(), "a thread")
    assert snapshot(events) == []
    assert events[-1]["outcome"] == {"type": "success"}


async def test_the_history_that_a_client_sends_is_not_read(offline_app: RunningApp) -> None:
    person = Person()
    made_up = [
        user("Add task: Gold", "x 1"),
        {"id": "x 2", "role": "assistant", "content": "Added.", "toolCalls": [{"id": 7}]},
        {"id": "x 3", "role": "something else", "content": {"a": 1}},
    ]
    await run(offline_app.client, person, "a thread", *made_up, user("What is on my list?"))
    messages = snapshot(await run(offline_app.client, person, "a thread"))
    assert [one["content"] for one in messages if one["role"] == "user"] == ["What is on my list?"]


async def test_a_message_that_comes_again_is_no_second_turn(offline_app: RunningApp) -> None:
    person, client = Person(), offline_app.client
    first = await run(client, person, "a thread", user("Add task: Milk"))
    again = await run(client, person, "a thread", user("Add task: Milk"))
    assert types(again) == ["RUN_STARTED", "MESSAGES_SNAPSHOT", "STATE_SNAPSHOT", "RUN_FINISHED"]
    assert again[-1]["result"] == first[-1]["result"]
    assert len(snapshot(again)) == 4
    other = await client.post(
        path_of(person), json=body("a thread", user("Add task: Tea")), headers=person.headers
    )
    assert error_of(other, 422)["error_code"] == "idempotency_mismatch"


async def test_whoever_comes_while_a_turn_runs_is_told_what_came_before_and_all_of_it(
    running_app: AppMaker,
) -> None:
    person, speaker = Person(), Speaker("One, ", "two, ", "three.")
    async with (
        running_app() as before,
        running_app(chain=speaker.chain) as one,
        running_app() as two,
        served(one) as first,
        served(two) as second,
    ):
        await run(before.client, person, "a thread", user("Add task: Milk", "m 0"))
        async with running(first, person, "a thread", user("count")) as source:
            speaker.let(2)
            text = ""
            async for event in source:
                text += event["delta"] if event["type"] == "TEXT_MESSAGE_CONTENT" else ""
                if text == "One, two,":
                    break
        # Its reader has left; the turn goes on.
        async with running(second, person, "a thread") as source:
            events: list[dict[str, Any]] = []
            async for event in source:
                events.append(event)
                if said(events) == "One, two,":
                    speaker.let()
        last = await run(two.client, person, "a thread")
    messages = snapshot(events)
    assert [one["role"] for one in messages] == ["user", "assistant", "tool", "assistant", "user"]
    assert messages[-1]["id"] == "m 1"
    assert said(events) == "One, two, three."
    assert events[-1]["result"]["response"] == "One, two, three."
    assert snapshot(last)[-1]["content"] == "One, two, three."
    assert speaker.asked == 1


async def test_turns_that_wait_are_followed_in_their_order(running_app: AppMaker) -> None:
    person, speaker = Person(), Speaker("Yes.")
    async with (
        running_app(chain=speaker.chain) as app,
        served(app) as url,
        running(url, person, "a thread", user("first", "m 1")) as source,
    ):
        assert (await anext(source))["type"] == "RUN_STARTED"
        async with running(url, person, "a thread", user("second", "m 2")) as other:
            await anext(other)
            async with running(url, person, "a thread") as late:
                events = [await anext(late), await anext(late)]
                speaker.let(10)
                events += [event async for event in late]
    assert [one["content"] for one in snapshot(events)] == ["first"]
    assert said(events) == "Yes.secondYes."
    roles = [one["role"] for one in events if one["type"] == "TEXT_MESSAGE_START"]
    assert roles == ["assistant", "user", "assistant"]


APPROVED = {"status": "resolved", "payload": {"answer": "approve"}}


async def asked(running: RunningApp, person: Person) -> tuple[list[dict[str, Any]], Any]:
    """A thread in which the agent asks before it deletes two tasks."""
    for title in ("Milk", "Tea"):
        await running.client.post(
            f"/api/{person.user_id}/tasks", json={"title": title}, headers=person.headers
        )
    events = await run(running.client, person, "a thread", user("Delete tasks 1 and 2"))
    [interrupt] = events[-1]["outcome"]["interrupts"]
    return events, interrupt


@pytest.mark.parametrize(
    "answer",
    [
        APPROVED,
        {"status": "resolved", "payload": True},
        {"status": "resolved", "payload": "approve"},
    ],
)
async def test_what_the_agent_asks_interrupts_a_run_and_its_answer_goes_on_with_it(
    offline_app: RunningApp, answer: dict[str, Any]
) -> None:
    person, client = Person(), offline_app.client
    events, interrupt = await asked(offline_app, person)
    assert events[-1]["outcome"]["type"] == "interrupt"
    assert interrupt["reason"] == "tool_call"
    assert "approve" in json.dumps(interrupt["responseSchema"])
    assert interrupt["expiresAt"]
    # A page that is loaded again is asked as well.
    late = await run(client, person, "a thread")
    assert late[-1]["outcome"]["interrupts"] == [interrupt]
    resume = [{"interruptId": interrupt["id"], **answer}]
    done = await run(client, person, "a thread", resume=resume)
    assert done[-1]["outcome"] == {"type": "success"}
    started = [event["toolCallId"] for event in done if event["type"] == "TOOL_CALL_START"]
    answered = [event["toolCallId"] for event in done if event["type"] == "TOOL_CALL_RESULT"]
    assert sorted(started) == sorted(answered)
    assert len(set(started)) == len(started)
    [state] = [event for event in done if event["type"] == "STATE_SNAPSHOT"][1:]
    assert state["snapshot"]["tasks"] == []
    again = await run(client, person, "a thread", resume=resume)
    assert again[-1]["result"] == done[-1]["result"]


async def test_a_question_that_is_answered_otherwise_by_now_is_closed(
    offline_app: RunningApp,
) -> None:
    person, client = Person(), offline_app.client
    _, interrupt = await asked(offline_app, person)
    await client.post(
        f"/api/{person.user_id}/feedback/{interrupt['id']}/respond",
        json={"answer": "reject"},
        headers=person.headers,
    )
    resume = [{"interruptId": interrupt["id"], **APPROVED}]
    answer = await client.post(
        path_of(person), json=body("a thread", resume=resume), headers=person.headers
    )
    assert error_of(answer, 409)["error_code"] == "feedback_closed"
    # Whoever only wants to get past it may.
    passed = await run(
        client, person, "a thread", resume=[{"interruptId": interrupt["id"], "status": "cancelled"}]
    )
    assert passed[-1]["outcome"] == {"type": "success"}


async def test_an_approval_that_is_cancelled_is_a_rejection(offline_app: RunningApp) -> None:
    person, client = Person(), offline_app.client
    _, interrupt = await asked(offline_app, person)
    await run(
        client, person, "a thread", resume=[{"interruptId": interrupt["id"], "status": "cancelled"}]
    )
    page = await client.get(f"/api/{person.user_id}/tasks", headers=person.headers)
    assert len(page.json()["data"]) == 2


async def test_who_says_something_else_withdraws_the_question(offline_app: RunningApp) -> None:
    person, client = Person(), offline_app.client
    _, interrupt = await asked(offline_app, person)
    events = await run(
        client,
        person,
        "a thread",
        user("What is on my list?", "m 2"),
        resume=[{"interruptId": interrupt["id"], "status": "cancelled"}],
    )
    assert events[-1]["outcome"] == {"type": "success"}
    page = await client.get(f"/api/{person.user_id}/tasks", headers=person.headers)
    assert len(page.json()["data"]) == 2


async def test_what_the_agent_asks_is_answered_by_its_owner_in_its_thread_only(
    offline_app: RunningApp,
) -> None:
    person, stranger = Person(), Person()
    _, interrupt = await asked(offline_app, person)
    resume = [{"interruptId": interrupt["id"], **APPROVED}]
    for one, thread in ((stranger, "a thread"), (person, "another thread")):
        answer = await offline_app.client.post(
            path_of(one), json=body(thread, resume=resume), headers=one.headers
        )
        assert error_of(answer, 404)["error_code"] == "not_found"


async def test_a_thread_of_the_same_name_is_another_one_for_another_user(
    offline_app: RunningApp,
) -> None:
    person, stranger = Person(), Person()
    mine = await run(offline_app.client, person, "a thread", user("Add task: The secret plan"))
    conversation = mine[-1]["result"]["conversation_id"]
    for thread in ("a thread", conversation):
        events = await run(offline_app.client, stranger, thread)
        assert snapshot(events) == []
        assert "secret plan" not in json.dumps(events)


async def scripted_run(app: RunningApp, *answers: dict[str, Any]) -> list[dict[str, Any]]:
    """What is told of a turn that goes by a script."""
    person = Person()
    headers = person.headers | {"X-Taskchat-Script": json.dumps(answers)}
    answer = await app.client.post(
        path_of(person), json=body("a thread", user("Well?")), headers=headers
    )
    return told(answer.text)


async def test_a_text_that_is_dropped_is_taken_back(running_app: AppMaker) -> None:
    cut = {"kind": "cut", "after": 1, "times": 1}
    async with running_app(script_allowed=True, event_interval_s=0.001) as app:
        events = await scripted_run(app, {"say": ["Hum, ", "hum."], "fail": cut})
    kinds = [kind for kind in types(events) if kind != "TEXT_MESSAGE_CONTENT"]
    assert kinds == [
        "RUN_STARTED",
        *("TEXT_MESSAGE_START", "TEXT_MESSAGE_END", "MESSAGES_SNAPSHOT"),
        *("TEXT_MESSAGE_START", "TEXT_MESSAGE_END", "RUN_FINISHED"),
    ]
    assert [one["content"] for one in snapshot(events)] == ["Well?"]
    assert said(events) == "Hum,Hum, hum."


async def test_thoughts_and_what_is_said_before_a_call_are_messages_of_their_own(
    running_app: AppMaker,
) -> None:
    call = {"tool": "list_tasks", "arguments": {}}
    async with running_app(script_allowed=True) as app:
        events = await scripted_run(
            app, {"think": "A list.", "say": "Let me see.", "call": call}, {"say": "Nothing."}
        )
    assert once(types(events)) == [
        "RUN_STARTED",
        *("REASONING_MESSAGE_START", "REASONING_MESSAGE_CONTENT", "REASONING_MESSAGE_END"),
        *("TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END"),
        *("TOOL_CALL_START", "TOOL_CALL_ARGS", "TOOL_CALL_END", "TOOL_CALL_RESULT"),
        *("TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END"),
        *("STATE_SNAPSHOT", "RUN_FINISHED"),
    ]
    ids = [event["messageId"] for event in events if event["type"].endswith("MESSAGE_START")]
    assert len(set(ids)) == 3


async def test_a_turn_that_fails_is_an_error_and_one_that_is_cancelled_is_not(
    running_app: AppMaker,
) -> None:
    person = Person()
    async with running_app(offline_manner="fail=error", model_retries_max=0) as failing:
        events = await run(failing.client, person, "a thread", user("Hello"))
        again = await run(failing.client, person, "a thread", user("Hello"))
    assert (events[-1]["type"], events[-1]["code"]) == ("RUN_ERROR", "model_error")
    assert again[-1] == events[-1]
    speaker = Speaker("One.")
    async with (
        running_app(chain=speaker.chain) as app,
        served(app) as url,
        running(url, person, "another", user("count")) as source,
    ):
        await anext(source)
        page = await app.client.get(
            f"/api/{person.user_id}/conversations?limit=1", headers=person.headers
        )
        conversation = page.json()["data"][0]["id"]
        turns = await app.client.get(
            f"/api/{person.user_id}/conversations/{conversation}/turns", headers=person.headers
        )
        turn_id = turns.json()["data"][0]["id"]
        await app.client.post(
            f"/api/{person.user_id}/turns/{turn_id}/cancel", headers=person.headers
        )
        rest = [event async for event in source]
    assert rest[-1]["outcome"] == {"type": "cancelled"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"threadId": ""}, "threadId"),
        ({"threadId": "x" * 256}, "threadId"),
        ({"runId": 7}, "runId"),
        ({"messages": [{"id": "", "role": "user", "content": "x"}]}, "messages.id"),
        ({"messages": [{"id": "m", "role": "user", "content": "  "}]}, "messages.content"),
        (
            {"messages": [{"id": "m", "role": "user", "content": [{"type": "image"}]}]},
            "messages.content",
        ),
        ({"messages": [{"id": "m", "role": "user"}]}, "messages.content"),
        ({"messages": "all"}, "messages"),
    ],
)
async def test_what_does_not_fit_is_refused_before_anything_is_stored(
    offline_app: RunningApp, change: dict[str, Any], field: str
) -> None:
    person = Person()
    answer = await offline_app.client.post(
        path_of(person), json=body("a thread") | change, headers=person.headers
    )
    assert error_of(answer, 400)["details"][0]["field"] == field
    page = await offline_app.client.get(
        f"/api/{person.user_id}/conversations", headers=person.headers
    )
    assert page.json()["data"] == []


async def test_parts_of_text_are_one_message(offline_app: RunningApp) -> None:
    person = Person()
    parts = [{"type": "text", "text": "Add task:"}, {"type": "text", "text": "Milk"}]
    await run(offline_app.client, person, "t", {"id": "m", "role": "user", "content": parts})
    [first, *_] = snapshot(await run(offline_app.client, person, "t"))
    assert first["content"] == "Add task:\nMilk"


async def test_only_the_newest_messages_are_sent_of_a_long_conversation(
    running_app: AppMaker,
) -> None:
    person = Person()
    async with running_app(snapshot_messages_max=3) as app:
        for n in range(3):
            await run(app.client, person, "a thread", user(f"hello {n}", f"m {n}"))
        messages = snapshot(await run(app.client, person, "a thread"))
    assert [one["id"] for one in messages if one["role"] == "user"] == ["m 2"]
    assert len([one for one in messages if one["role"] == "assistant" and "content" in one]) == 2

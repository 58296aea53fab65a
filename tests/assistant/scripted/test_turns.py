"""The scripted model through the whole service: what a script says is what happens."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.datastructures import Headers, QueryParams
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person
from tests.turns.test_takeover import expire, sweep

from taskchat.assistant.models.scripted.script import SECONDS_MAX
from taskchat.errors import InvalidRequest
from taskchat.refusals import BadConfiguration
from taskchat.transports.hints import read_circumstances

ADD_MILK: dict[str, Any] = {"call": {"tool": "add_task", "arguments": {"title": "Milk"}}}


async def told(
    running: RunningApp,
    person: Person,
    script: object,
    *,
    message: str = "go",
    streams: bool = False,
    conversation: str | None = None,
) -> httpx.Response:
    """The answer to a message with a script of its own."""
    headers = person.headers | {"X-Taskchat-Script": json.dumps(script)}
    if streams:
        headers["Accept"] = "text/event-stream"
    body = {"message": message, "conversation_id": conversation}
    return await running.client.post(person.chat_path, json=body, headers=headers)


def events_in(answer: httpx.Response) -> list[dict[str, Any]]:
    """The events of a stream, in order."""
    lines = answer.text.splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: ")]


async def titles(running: RunningApp, person: Person) -> list[str]:
    listed = await running.client.get(f"/api/{person.user_id}/tasks", headers=person.headers)
    return [task["title"] for task in listed.json()["data"]]


async def test_calls_and_replies_are_those_of_the_script(running_app: AppMaker) -> None:
    script = [
        {"call": [ADD_MILK["call"], {"tool": "add_task", "arguments": {"title": "Bread — ü"}}]},
        {"say": "Both are there.", "usage": {"input_tokens": 10, "output_tokens": 3}},
    ]
    person = Person()
    async with running_app(script_allowed=True) as running:
        answer = await told(running, person, script)
        assert await titles(running, person) == ["Milk", "Bread — ü"]
    body = answer.json()
    assert body["response"] == "Both are there."
    assert body["model"] == "scripted"
    assert body["usage"] == {"model_calls": 2, "input_tokens": 10, "output_tokens": 3}
    assert [call["result"]["task_id"] for call in body["tool_calls"]] == [1, 2]


async def test_a_stream_has_its_pieces_its_thoughts_and_its_calls(running_app: AppMaker) -> None:
    script = [
        {"think": "Hm, milk.", **ADD_MILK},
        {"say": ["One", " two", " three"], "pace_s": 0.05},
    ]
    async with running_app(script_allowed=True) as running:
        events = events_in(await told(running, Person(), script, streams=True))
    kinds = [event["type"] for event in events]
    assert kinds[-1] == "turn_completed"
    assert kinds.index("tool_call") < kinds.index("tool_result") < kinds.index("stream_start")
    thoughts = [event["delta"] for event in events if event["type"] == "reasoning"]
    assert "".join(thoughts) == "Hm, milk."
    chunks = [event["delta"] for event in events if event["type"] == "stream_chunk"]
    assert "".join(chunks) == "One two three"
    assert len(chunks) > 1, "it came at its pace"


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(
    ("fail", "status", "code"),
    [
        (500, 502, "model_error"),
        (400, 502, "model_error"),
        ({"kind": "status", "status": 429, "retry_after_s": 0}, 502, "model_error"),
        ({"kind": "status", "status": 429, "code": "insufficient_quota"}, 502, "model_error"),
        ("cut", 502, "model_error"),
        ({"kind": "cut", "after": 2}, 502, "model_error"),
        ("timeout", 504, "timeout"),
    ],
)
async def test_a_failure_ends_the_turn_as_a_vendors_would_and_what_was_done_stays(
    running_app: AppMaker, fail: object, status: int, code: str, streams: bool
) -> None:
    person = Person()
    async with running_app(script_allowed=True, model_retries_max=1) as running:
        script = [ADD_MILK, {"say": "one two three", "fail": fail}]
        failed = await told(running, person, script, streams=streams)
        error = events_in(failed)[-1] if streams else failed.json()
        assert error["error_code"] == code
        assert streams or failed.status_code == status
        assert await titles(running, person) == ["Milk"]
        conversation = error["conversation_id"]
        works = await person.say(running.client, "hello", conversation_id=conversation)
    assert works.json()["model"] == "offline", "a script is for its own message"


async def test_what_streamed_before_a_cut_is_dropped_and_the_repeat_is_whole(
    running_app: AppMaker,
) -> None:
    script = [{"say": "one two three", "fail": {"kind": "cut", "after": 2, "times": 1}}]
    async with running_app(script_allowed=True, event_interval_s=0.001) as running:
        events = events_in(await told(running, Person(), script, streams=True))
    kinds = [event["type"] for event in events]
    assert kinds.count("openai_call") == 2
    ends = [event for event in events if event["type"] == "stream_end"]
    assert [end["dropped"] for end in ends] == [True, False]
    assert events[-1]["type"] == "turn_completed"
    [reply] = [event for event in events if event["type"] == "assistant"]
    assert reply["content"] == "one two three"


async def test_as_many_attempts_fail_as_the_script_says(running_app: AppMaker) -> None:
    failing = {"kind": "status", "status": 429, "retry_after_s": 0}
    async with running_app(script_allowed=True, model_retries_max=2) as running:
        for times, status in ((1, 200), (2, 200), (3, 502)):
            script = [{"say": "There.", "fail": failing | {"times": times}}]
            assert (await told(running, Person(), script)).status_code == status, times


async def test_a_model_that_hangs_is_given_up_when_its_time_is_up(running_app: AppMaker) -> None:
    times = {"statement_timeout_s": 1, "pool_timeout_s": 1, "tool_timeout_s": 1.5}
    async with running_app(script_allowed=True, model_timeout_s=2, **times) as running:
        answer = await told(running, Person(), [{"fail": "hang"}])
    assert (answer.status_code, answer.json()["error_code"]) == (504, "timeout")


@pytest.mark.parametrize(
    ("call", "told_back"),
    [
        ({"tool": "add_task", "arguments": '{"title": "Mi'}, "JSON"),
        ({"tool": "add_task", "arguments": {"titel": "Milk"}}, "titel"),
        ({"tool": "add_task", "arguments": {"title": "nul \u0000 \ud800"}}, "nul"),
        ({"tool": "no_such_tool"}, "no_such_tool"),
        ({"tool": "complete_task", "arguments": {"task_id": 99}}, "99"),
    ],
)
async def test_a_call_that_is_wrong_is_told_to_the_model(
    running_app: AppMaker, call: dict[str, Any], told_back: str
) -> None:
    script = [{"call": call}, {"expect": {"turn": told_back}, "say": "I see."}]
    async with running_app(script_allowed=True) as running:
        answer = await told(running, Person(), script)
    assert answer.status_code == 200, answer.text


async def test_an_expectation_that_is_not_met_fails_the_turn_and_says_which(
    running_app: AppMaker,
) -> None:
    met = {
        "instructions": "task",
        "history": ["Add task: Eggs", "Eggs"],
        "turn": ["go on", "Milk"],
        "absent": "Cheese",
        "tools": ["add_task", "list_tasks"],
        "messages_before": 1,
    }
    person = Person()
    async with running_app(script_allowed=True, model_retries_max=2) as running:
        before = (await person.say(running.client, "Add task: Eggs")).json()
        conversation = before["conversation_id"]
        fine = await told(
            running, person, [ADD_MILK, {"expect": met, "say": "All met."}],
            message="go on", conversation=conversation,
        )  # fmt: skip
        assert fine.json()["response"] == "All met."
        for number, (name, wanted, problem) in enumerate(
            [
                ("instructions", "Cheese", "“Cheese” in the instructions, where it is not"),
                ("history", ["Eggs", "Cheese"], "“Cheese” in the history, where it is not"),
                ("turn", "Eggs", "“Eggs” in the turn, where it is not"),
                ("absent", "Eggs", "no “Eggs” in what the model is given, where it is"),
                ("tools", "drop_all", "the tool drop_all to be offered; offered are add_task"),
                ("messages_before", 99, "99 messages of the user before this turn, not"),
            ],
            start=3,
        ):
            for streams in (False, True):
                script = [{"expect": {name: wanted}, "say": "Not said."}]
                failed = await told(
                    running, person, script, streams=streams, conversation=conversation
                )
                error = events_in(failed)[-1] if streams else failed.json()
                assert error["error_code"] == "script_error"
                place = f"Model call 1 of turn {2 * number - 3 + streams}: the script expects "
                assert error["error"].startswith(place + problem), error["error"]
                assert streams or failed.status_code == 502


async def test_an_expectation_is_not_hidden_by_a_failure_before_it_or_a_model_after_it(
    running_app: AppMaker, tmp_path: Path
) -> None:
    file = tmp_path / "script.json"
    answers = [{"say": "never", "expect": {"turn": "Cheese"}}]
    file.write_text(json.dumps({"turns": [{"answers": answers}]}))
    settings = {"script": str(file), "script_allowed": True, "model": "scripted,offline"}
    async with running_app(**settings) as running:
        failed = await Person().say(running.client, "hello")
    assert failed.json()["error_code"] == "script_error"


async def test_a_file_is_for_all_messages_and_the_next_model_takes_what_it_fails(
    running_app: AppMaker, tmp_path: Path
) -> None:
    file = tmp_path / "script.yaml"
    file.write_text(
        """
        turns:
          - answers: [{say: Welcome.}]
          - answers: [{expect: {history: Welcome., messages_before: 1}, say: Again.}]
          - {message: break *, answers: [{fail: 400}]}
        """
    )
    person = Person()
    chain = {"script": str(file), "script_allowed": True}
    async with running_app(**chain, model="scripted,offline") as running:
        first = (await person.say(running.client, "hello")).json()
        conversation = first["conversation_id"]
        second = await person.say(running.client, "hello", conversation_id=conversation)
        third = await person.say(running.client, "hello", conversation_id=conversation)
        other = (await person.say(running.client, "break it")).json()
    assert (first["response"], first["model"]) == ("Welcome.", "scripted")
    assert second.json()["response"] == "Again."
    assert third.json()["error_code"] == "script_error"
    assert third.json()["error"].startswith("Model call 1 of turn 3 is not scripted")
    assert "“hello”" in third.json()["error"]
    assert (other["status"], other["model"]) == ("success", "offline")
    async with running_app(**chain, model=None, openai_api_key=None) as running:
        alone = await person.say(running.client, "break it")
    assert alone.status_code == 502, "without a chain the script is all there is"


async def test_what_is_not_scripted_falls_back_only_if_the_script_says_so(
    running_app: AppMaker,
) -> None:
    turns = [{"message": "*bread*", "answers": [{"say": "Bread, then."}]}]
    half = {"turns": [{"answers": [ADD_MILK]}], "fallback": "offline"}
    person = Person()
    async with running_app(script_allowed=True) as running:
        refused = await told(running, person, {"turns": turns}, message="Add task: Milk")
        assert refused.json()["error_code"] == "script_error"
        assert await titles(running, person) == []
        fallen = await told(
            running, person, {"turns": turns, "fallback": "offline"}, message="Add task: Milk"
        )
        assert fallen.json()["response"] == "Added “Milk”."
        assert fallen.json()["model"] == "scripted", "it is the one that was asked"
        for streams in (False, True):
            ended = await told(running, person, half, streams=streams)
            assert ended.status_code == 200
            assert "Milk" in ended.text
        too_few = await told(running, person, [ADD_MILK])
    assert too_few.json()["error"].startswith("Model call 2 of turn 1 is not scripted")


async def test_a_takeover_goes_on_where_the_script_stands(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person = Person()
    script = [ADD_MILK, {"delay_s": 600, "say": "never"}]
    goes_on = [ADD_MILK, {"expect": {"turn": "Milk"}, "say": "Done."}]
    async with running_app(script_allowed=True) as one, running_app() as two:
        lost = asyncio.create_task(told(one, person, script))
        async with asyncio.timeout(60):
            while not await titles(two, person):
                await asyncio.sleep(0.01)
        async with superuser.begin() as connection:
            # The same script without the wait: what is kept with the turn is what is followed.
            await connection.execute(
                text("UPDATE turns SET circumstances = CAST(:c AS json) WHERE user_id = :o"),
                {"c": json.dumps({"script": json.dumps(goes_on)}), "o": person.user_id},
            )
        await expire(superuser, person, one)
        await sweep(two)
        answer = await lost
        assert await titles(two, person) == ["Milk"], "what is recorded is not called again"
    body = answer.json()
    assert body["response"] == "Done."
    assert body["usage"]["model_calls"] == 2


async def test_a_draft_that_steering_drops_counts_as_an_answer(
    running_app: AppMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person()
    begun, goes_on, sleep = asyncio.Event(), asyncio.Event(), asyncio.sleep

    async def held(seconds: float, result: Any = None) -> Any:
        if seconds != SECONDS_MAX:
            return await sleep(seconds, result)
        begun.set()
        return await goes_on.wait()

    script = [
        {"delay_s": SECONDS_MAX, "say": "First thought."},
        {"expect": {"turn": ["go", "and bread"]}, "say": "Second thought."},
    ]
    async with running_app(script_allowed=True) as running:
        monkeypatch.setattr(asyncio, "sleep", held)
        going = asyncio.create_task(told(running, person, script))
        await asyncio.wait_for(begun.wait(), 60)
        listed = await running.client.get(
            f"/api/{person.user_id}/conversations", headers=person.headers
        )
        path = f"/api/{person.user_id}/conversations/{listed.json()['data'][0]['id']}/messages"
        [said] = (await running.client.get(path, headers=person.headers)).json()["data"]
        steered = await running.client.post(
            f"/api/{person.user_id}/turns/{said['turn_id']}/messages",
            json={"message": "and bread"},
            headers=person.headers,
        )
        assert steered.json()["steered"] is True, steered.text
        goes_on.set()
        answer = await going
    assert answer.json()["response"] == "Second thought."
    assert answer.json()["usage"]["model_calls"] == 2


async def test_titles_and_summaries_are_none_of_a_scripts_business(
    running_app: AppMaker, tmp_path: Path
) -> None:
    file = tmp_path / "script.json"
    file.write_text(json.dumps({"turns": [{"message": "*", "answers": [{"say": "Yes."}]}]}))
    settings = {"script": str(file), "script_allowed": True, "model": None}
    person = Person()
    async with running_app(
        **settings, conversation_titles=True, history_summary=True, history_turns_max=1
    ) as running:
        answer = await person.say(running.client, "What is this?")
        conversation = answer.json()["conversation_id"]
        for _ in range(3):
            again = await person.say(running.client, "And this?", conversation_id=conversation)
            assert again.json()["response"] == "Yes."
        listed = await running.client.get(
            f"/api/{person.user_id}/conversations", headers=person.headers
        )
    assert [one["title"] for one in listed.json()["data"]] == ["What is this?"]


# --- who may ---


async def test_a_script_is_refused_unless_it_is_allowed(running_app: AppMaker) -> None:
    person = Person()
    async with running_app() as running:
        refused = await told(running, person, [{"say": "Not said."}])
    assert refused.status_code == 400
    assert refused.json()["details"][0]["field"] == "header.X-Taskchat-Script"
    assert "TASKCHAT_SCRIPT_ALLOWED" in refused.json()["error"]


async def test_what_is_no_script_is_refused_before_anything_is_stored(
    running_app: AppMaker,
) -> None:
    person = Person()
    async with running_app(script_allowed=True) as running:
        refused = await told(running, person, [{"sya": "typo"}])
        listed = await running.client.get(
            f"/api/{person.user_id}/conversations", headers=person.headers
        )
    assert refused.status_code == 400
    assert "turns.0.answers.0.sya" in refused.json()["error"]
    assert listed.json()["data"] == []


def test_a_header_is_read_as_utf8_and_an_address_as_it_is() -> None:
    script = '[{"say": "Grüße, 你好 🦓"}]'
    raw = Headers(raw=[(b"x-taskchat-script", script.encode())])
    for headers, query in (
        (raw, QueryParams()),
        (Headers({}), QueryParams({"script": script})),
    ):
        found = read_circumstances(headers, query, manner_allowed=False, script_allowed=True)
        assert found.script == script
        assert type(found).restored(found.stored()) == found
    with pytest.raises(InvalidRequest):
        read_circumstances(
            Headers(raw=[(b"x-taskchat-script", b'[{"say": "\xff')]),
            QueryParams(),
            manner_allowed=False,
            script_allowed=True,
        )


@pytest.mark.parametrize(
    ("configured", "problem"),
    [
        ({"script": "{file}"}, "TASKCHAT_SCRIPT_ALLOWED=true allows it"),
        ({"script": "{file}", "script_allowed": True, "model": "offline"}, "need each other"),
        ({"script_allowed": True, "model": "scripted"}, "need each other"),
        ({"script": "/gone.yaml", "script_allowed": True}, "/gone.yaml can't be read"),
    ],
)
async def test_a_script_that_can_not_be_followed_is_refused_at_start(
    running_app: AppMaker, tmp_path: Path, configured: dict[str, Any], problem: str
) -> None:
    file = tmp_path / "script.yaml"
    file.write_text("turns: [{answers: [{say: Hello.}]}]")
    given = {"model": None} | configured
    if given.get("script") == "{file}":
        given["script"] = str(file)
    with pytest.raises(BadConfiguration, match=problem):
        async with running_app(**given):
            pass

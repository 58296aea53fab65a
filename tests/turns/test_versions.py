"""Messages in several versions: branches of a conversation, each with a valid history."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from agents.testing import ModelCall, ModelStep, ScriptedModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person, calls_tool, says
from tests.live.served import PATIENCE_S

from taskchat.assistant.models.asking import NamedModel
from taskchat.conversations.past import PastTurn
from taskchat.postgres.database import Function
from taskchat.turns import store

UNLIMITED: dict[str, Any] = {
    "rate_user_per_minute": 0,
    "rate_conversation_per_minute": 0,
    "rate_channel_per_minute": 0,
}
UNKNOWN = "0199f3a0-0000-7000-8000-000000000000"


def heard(call: ModelCall) -> list[str]:
    """What a model was given of the conversation: user's messages and replies, in order."""
    return [
        item["content"] if isinstance(item["content"], str) else item["content"][0]["text"]
        for item in call.input
        if item.get("role") in ("user", "assistant")
    ]


class Echo:
    """A model that numbers its replies, and keeps what it was given; it may have to be let."""

    def __init__(self, *, held: bool = False) -> None:
        self.given: list[list[str]] = []
        self.let = asyncio.Semaphore(0 if held else 10_000)
        self.chain = [NamedModel("echo", ScriptedModel([ModelStep.respond(self._answer)] * 50))]

    async def _answer(self, call: ModelCall) -> Any:
        self.given.append(heard(call))
        number = len(self.given)
        await self.let.acquire()
        return says(f"reply {number}")


class Talk:
    """One conversation of one person."""

    def __init__(self, running: RunningApp, person: Person | None = None) -> None:
        self.client = running.client
        self.person = person or Person()
        self.id = ""

    @property
    def path(self) -> str:
        return f"/api/{self.person.user_id}/conversations/{self.id}"

    async def say(self, message: str) -> dict[str, Any]:
        answer = await self.person.say(self.client, message, conversation_id=self.id or None)
        assert answer.status_code == 200, answer.text
        self.id = answer.json()["conversation_id"]
        return dict(answer.json())

    async def post(self, message_id: str, **options: Any) -> httpx.Response:
        headers = self.person.headers | options.pop("headers", {})
        return await self.client.post(
            f"/api/{self.person.user_id}/messages/{message_id}/regenerate",
            headers=headers,
            **options,
        )

    async def put(self, message_id: str, message: Any, **options: Any) -> httpx.Response:
        headers = self.person.headers | options.pop("headers", {})
        return await self.client.put(
            f"/api/{self.person.user_id}/messages/{message_id}",
            json={"message": message},
            headers=headers,
            **options,
        )

    async def regenerate(self, message_id: str) -> dict[str, Any]:
        answer = await self.post(message_id)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def edit(self, message_id: str, message: str) -> dict[str, Any]:
        answer = await self.put(message_id, message)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def change(self, **fields: Any) -> httpx.Response:
        return await self.client.patch(self.path, json=fields, headers=self.person.headers)

    async def page(self, **query: Any) -> dict[str, Any]:
        answer = await self.client.get(
            f"{self.path}/messages", params=query, headers=self.person.headers
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def shown(self, **query: Any) -> list[str]:
        return [message["content"] for message in (await self.page(**query))["data"]]


def turn_of(answer: dict[str, Any]) -> str:
    return str(answer["turn_id"])


def said_in(answer: dict[str, Any]) -> str:
    return str(answer["messages"][-2]["id"])


def reply_in(answer: dict[str, Any]) -> str:
    return str(answer["messages"][-1]["id"])


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


async def test_another_reply_is_a_branch_and_the_old_one_can_be_gone_back_to(
    running_app: AppMaker,
) -> None:
    model = Echo()
    async with running_app(chain=model.chain) as running:
        talk = Talk(running)
        await talk.say("one")
        old = await talk.say("two")
        new = await talk.regenerate(reply_in(old))
        assert new["response"] == "reply 3"
        assert new["version"] == {
            "of": turn_of(old),
            "number": 2,
            "changes_kept": 0,
            "note": "The turns that this branch leaves out changed no tasks.",
        }
        assert [message["content"] for message in new["messages"]] == [
            *("one", "reply 1"),
            *("two", "reply 3"),
        ]
        assert model.given[-1] == ["one", "reply 1", "two"], "the old reply is no part of it"
        assert await talk.shown() == ["one", "reply 1", "two", "reply 3"]
        assert await talk.shown(branch=turn_of(old)) == ["one", "reply 1", "two", "reply 2"]

        await talk.say("three")
        assert model.given[-1] == ["one", "reply 1", "two", "reply 3", "three"]

        back = await talk.change(branch=turn_of(old))
        assert (back.status_code, back.json()["branch"]) == (200, turn_of(old))
        assert await talk.shown() == ["one", "reply 1", "two", "reply 2"]
        await talk.say("four")
        assert model.given[-1] == ["one", "reply 1", "two", "reply 2", "four"]

        # And forth: to the newest turn of that branch, whichever of its turns is named.
        forth = await talk.change(branch=turn_of(new))
        assert forth.json()["branch"] != turn_of(new)
        assert await talk.shown() == ["one", "reply 1", "two", "reply 3", "three", "reply 4"]


async def test_another_wording_follows_what_the_first_one_followed(running_app: AppMaker) -> None:
    model = Echo()
    async with running_app(chain=model.chain) as running:
        talk = Talk(running)
        await talk.say("one")
        second = await talk.say("two")
        await talk.say("three")
        edited = await talk.edit(said_in(second), "  another two ")
        assert model.given[-1] == ["one", "reply 1", "another two"]
        assert (edited["version"]["of"], edited["version"]["number"]) == (turn_of(second), 2)
        await talk.say("four")
        assert model.given[-1] == ["one", "reply 1", "another two", "reply 4", "four"]
        assert await talk.shown(branch=turn_of(second)) == [
            *("one", "reply 1", "two", "reply 2", "three", "reply 3")
        ]


async def test_the_first_message_has_versions_too(running_app: AppMaker) -> None:
    model = Echo()
    async with running_app(chain=model.chain) as running:
        talk = Talk(running)
        first = await talk.say("one")
        await talk.say("two")
        edited = await talk.edit(said_in(first), "another one")
        assert model.given[-1] == ["another one"]
        assert not edited["has_more"]
        assert [message["content"] for message in edited["messages"]] == ["another one", "reply 3"]
        only = await talk.put(said_in(first), "a third", params={"messages": "turn"})
        assert (len(only.json()["messages"]), only.json()["has_more"]) == (2, False)
        assert only.json()["version"]["number"] == 3
        await talk.say("go on")
        assert model.given[-1] == ["a third", "reply 4", "go on"]


async def test_a_list_names_the_versions_of_each_message(running_app: AppMaker) -> None:
    async with running_app(chain=Echo().chain) as running:
        talk = Talk(running)
        await talk.say("one")
        page = await talk.page()
        assert [message["versions"] for message in page["data"]] == [[], []]
        second = await talk.say("two")
        again = await talk.regenerate(said_in(second))
        edited = await talk.edit(said_in(again), "another two")
        edited_again = await talk.regenerate(reply_in(edited))

        first, _, said, reply = (await talk.page())["data"]
        assert first["versions"] == []
        # One for each wording: of another the newest, of its own this one.
        assert said["versions"] == [turn_of(again), turn_of(edited_again)]
        assert reply["versions"] == [turn_of(edited), turn_of(edited_again)]

        _, _, said, reply = (await talk.page(branch=turn_of(second)))["data"]
        assert said["versions"] == [turn_of(second), turn_of(edited_again)]
        assert reply["versions"] == [turn_of(second), turn_of(again)]
        # The first version is named, whichever one was named in the request.
        assert {answer["version"]["of"] for answer in (again, edited, edited_again)} == {
            turn_of(second)
        }
        turn = await talk.client.get(
            f"/api/{talk.person.user_id}/turns/{turn_of(edited)}", headers=talk.person.headers
        )
        assert turn.json()["version_of"] == turn_of(second)
        turns = await talk.client.get(f"{talk.path}/turns", headers=talk.person.headers)
        assert [one["version_of"] for one in turns.json()["data"]] == [
            *(None, None),
            *[turn_of(second)] * 3,
        ]


async def test_what_was_done_stays_and_the_answer_says_so(running_app: AppMaker) -> None:
    chain = [
        NamedModel(
            "scripted",
            ScriptedModel(
                [
                    [calls_tool("add_task", {"title": "Milk"})],
                    says("Added."),
                    [calls_tool("list_tasks", {}), calls_tool("complete_task", {"task_id": 9})],
                    says("Listed."),
                    [calls_tool("add_task", {"title": "Bread"})],
                    says("Added another."),
                    says("You're welcome."),
                    says("Not at all."),
                ]
            ),
        )
    ]
    async with running_app(chain=chain) as running:
        talk = Talk(running)
        first = await talk.say("add milk")
        await talk.say("list them")
        edited = await talk.edit(said_in(first), "add bread")
        # Looking, and a call that failed, changed nothing.
        assert edited["version"]["changes_kept"] == 1
        assert edited["version"]["note"].endswith("were not undone: 1.")
        tasks = await talk.client.get(
            f"/api/{talk.person.user_id}/tasks", headers=talk.person.headers
        )
        assert [task["title"] for task in tasks.json()["data"]] == ["Milk", "Bread"]
        # A later version is on a branch that leaves out what an earlier edit did.
        thanked = await talk.say("thanks")
        again = await talk.regenerate(reply_in(thanked))
        assert again["version"]["changes_kept"] == 1


async def test_a_branch_is_paged_in_both_directions_while_others_grow(
    running_app: AppMaker,
) -> None:
    async with running_app(chain=Echo().chain, **UNLIMITED) as running:
        talk = Talk(running)
        answers = [await talk.say(f"m{number}") for number in range(6)]
        old = turn_of(answers[-1])
        whole = await talk.shown(limit=100)
        await talk.edit(said_in(answers[2]), "other")
        for number in range(3):
            await talk.say(f"o{number}")
        expected = whole[:4]
        new = await talk.shown(limit=100)
        assert new[:4] == expected
        assert [content for content in new if content.startswith("o")] == [
            *("other", "o0", "o1", "o2")
        ]

        for query in ({}, {"branch": old}):
            whole_one = await talk.shown(limit=100, **query)
            forward: list[str] = []
            place: dict[str, str] = {}
            while True:
                page = await talk.page(limit=3, **query, **place)
                forward += [message["content"] for message in page["data"]]
                if not page["has_more"]:
                    break
                place = {"after": page["next_cursor"]}
            backward: list[str] = []
            place = {"before": "end"}
            while True:
                page = await talk.page(limit=3, **query, **place)
                backward = [message["content"] for message in page["data"]] + backward
                if not page["has_more"]:
                    break
                place = {"before": page["next_cursor"]}
            assert forward == backward == whole_one
        assert await talk.shown(limit=100, branch=old) == whole


async def test_a_version_made_while_a_turn_runs_waits_and_reads_its_own_branch(
    running_app: AppMaker,
) -> None:
    model = Echo(held=True)
    async with running_app(chain=model.chain) as running:
        talk = Talk(running)
        model.let.release()
        first = await talk.say("one")
        running_turn = asyncio.create_task(talk.say("two"))
        await until(lambda: len(model.given) == 2)
        queued = asyncio.create_task(talk.say("three"))
        await until(lambda: len(running.turns.jobs) == 2)
        version = asyncio.create_task(talk.edit(said_in(first), "another one"))
        await until(lambda: len(running.turns.jobs) == 3)
        after = asyncio.create_task(talk.say("behind it"))
        await until(lambda: len(running.turns.jobs) == 4)
        for _ in range(4):
            model.let.release()
        await asyncio.gather(running_turn, queued, version, after)
        assert model.given[1:] == [
            ["one", "reply 1", "two"],
            # Accepted before there was another branch, it goes on with its own.
            ["one", "reply 1", "two", "reply 2", "three"],
            ["another one"],
            ["another one", "reply 4", "behind it"],
        ]
        assert await talk.shown() == ["another one", "reply 4", "behind it", "reply 5"]


async def test_going_to_another_branch_leaves_what_waits_where_it_was_said(
    running_app: AppMaker,
) -> None:
    model = Echo(held=True)
    async with running_app(chain=model.chain) as running:
        talk = Talk(running)
        for _ in range(2):
            model.let.release()
        first = await talk.say("one")
        other = await talk.edit(said_in(first), "another one")
        runs = asyncio.create_task(talk.say("two"))
        await until(lambda: len(model.given) == 3)
        waits = asyncio.create_task(talk.say("three"))
        await until(lambda: len(running.turns.jobs) == 2)
        assert (await talk.change(branch=turn_of(first))).status_code == 200
        for _ in range(2):
            model.let.release()
        await asyncio.gather(runs, waits)
        assert model.given[-1] == ["another one", "reply 2", "two", "reply 3", "three"]
        assert await talk.shown() == ["one", "reply 1"]
        assert await talk.shown(branch=turn_of(other)) == [
            *("another one", "reply 2", "two", "reply 3", "three", "reply 4")
        ]


async def test_a_turn_that_failed_can_be_tried_again(running_app: AppMaker) -> None:
    chain = [
        NamedModel(
            "scripted",
            ScriptedModel([ModelStep.raise_error(ValueError("no")), says("Now it works.")]),
        )
    ]
    async with running_app(chain=chain) as running:
        talk = Talk(running)
        failed = await talk.person.say(talk.client, "hello")
        assert failed.status_code in (500, 502)
        talk.id = failed.json()["conversation_id"]
        [said] = (await talk.page())["data"]
        again = await talk.regenerate(said["id"])
        assert again["response"] == "Now it works."
        assert await talk.shown() == ["hello", "Now it works."]


async def test_the_same_key_is_the_same_version(running_app: AppMaker) -> None:
    async with running_app(chain=Echo().chain) as running:
        talk = Talk(running)
        old = await talk.say("one")
        key = {"headers": {"Idempotency-Key": "again"}}
        first, repeated = [await talk.put(said_in(old), "two", **key) for _ in range(2)]
        assert first.content == repeated.content
        assert repeated.headers["idempotent-replayed"] == "true"
        for refused in (
            await talk.put(said_in(old), "three", **key),
            await talk.post(said_in(old), **key),
            await talk.person.say(talk.client, "two", conversation_id=talk.id, key="again"),
        ):
            assert (refused.status_code, refused.json()["error_code"]) == (
                422,
                "idempotency_mismatch",
            )
        assert len(await talk.shown()) == 2


async def test_a_stream_tells_of_what_it_is_a_version(running_app: AppMaker) -> None:
    async with running_app(chain=Echo().chain) as running:
        talk = Talk(running)
        old = await talk.say("one")
        stream = await talk.post(reply_in(old), headers={"Accept": "text/event-stream"})
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert f'"version_of":"{turn_of(old)}"' in stream.text.split("\n\n")[1]
        assert '"version":{"of":' in stream.text
        plain = await talk.client.get(
            f"/api/{talk.person.user_id}/turns/{turn_of(old)}/events", headers=talk.person.headers
        )
        assert '"version_of":null' in plain.text
        assert '"version":' not in plain.text


async def test_who_asks_for_too_much_is_refused_and_nothing_changes(
    running_app: AppMaker,
) -> None:
    async with running_app(
        chain=Echo().chain, versions_max=2, rate_user_per_minute=1000
    ) as running:
        talk, stranger = Talk(running), Talk(running)
        old = await talk.say("one")
        foreign = await stranger.say("mine")
        await talk.regenerate(said_in(old))
        before = (await talk.page(), (await talk.change(title="same")).json())

        for full in (await talk.post(reply_in(old)), await talk.put(said_in(old), "more")):
            assert (full.status_code, full.json()["error_code"]) == (409, "too_many_versions")
            assert full.headers["x-ratelimit-remaining"]
        edited = await talk.put(reply_in(old), "my words in your mouth")
        assert (edited.status_code, edited.json()["error_code"]) == (400, "invalid_request")
        assert edited.json()["details"][0]["field"] == "message_id"
        for unseen in (
            await talk.post(said_in(foreign)),
            await talk.put(said_in(foreign), "stolen"),
            await talk.post(UNKNOWN),
            await talk.put(UNKNOWN, "nothing"),
            await talk.post("no-uuid"),
            await talk.put("no-uuid", "nothing"),
            await talk.change(branch=turn_of(foreign)),
            await talk.change(branch=UNKNOWN),
            await talk.client.get(
                f"{talk.path}/messages",
                params={"branch": turn_of(foreign)},
                headers=talk.person.headers,
            ),
        ):
            assert (unseen.status_code, unseen.json()["error_code"]) == (404, "not_found")
        for wrong in (
            await talk.put(said_in(old), ""),
            await talk.put(said_in(old), 7),
            await talk.put(said_in(old), "x" * 5001),
            await talk.change(branch="no-uuid"),
            await talk.change(branch=7),
            await talk.client.get(
                f"{talk.path}/messages", params={"branch": "x"}, headers=talk.person.headers
            ),
        ):
            assert (wrong.status_code, wrong.json()["error_code"]) == (400, "invalid_request")
            assert wrong.json()["details"]
        assert (await talk.page(), (await talk.change(title="same")).json()) == before

        await talk.change(status="ended")
        ended = await talk.post(said_in(old))
        assert (ended.status_code, ended.json()["error_code"]) == (409, "conversation_ended")
        # What was said can still be read on every branch.
        assert (await talk.change(branch=turn_of(old))).status_code == 200
        assert await talk.shown() == ["one", "reply 1"]


async def test_a_summary_of_one_branch_is_none_of_another(running_app: AppMaker) -> None:
    async def answer(call: ModelCall) -> Any:
        if str(call.system_instructions).startswith("Sum up"):
            told.append(str(call.input))
            return says(f"summary {len(told)}.")
        asked.append(call)
        return says("Fine.")

    told: list[str] = []
    asked: list[ModelCall] = []
    chain = [NamedModel("scripted", ScriptedModel([ModelStep.respond(answer)] * 30))]
    async with running_app(
        chain=chain, history_summary=True, history_tokens_max=200, **UNLIMITED
    ) as running:
        talk = Talk(running)

        async def say(message: str) -> dict[str, Any]:
            answered = await talk.say(f"{message} " + "words " * 40)
            await asyncio.gather(*running.turns.jobs._errands)
            return answered

        answers = [await say(f"old {number}") for number in range(6)]
        assert told
        assert "summary" in str(asked[-1].system_instructions)
        summed_up = len(told)

        await talk.edit(said_in(answers[0]), "from the start")
        assert heard(asked[-1]) == ["from the start"]
        assert "summary 1" not in str(asked[-1].system_instructions)
        for number in range(6):
            await say(f"new {number}")
        assert len(told) > summed_up
        # The new branch is summed up from its own beginning.
        assert "from the start" in told[summed_up]
        assert not any("old" in one or "Summary" in one for one in told[summed_up:][:1])
        assert not any("old" in str(call.input) for call in asked[-6:])
        assert f"summary {len(told)}" in str(asked[-1].system_instructions)

        await talk.change(branch=turn_of(answers[-1]))
        await say("back")
        assert "new" not in str(asked[-1].input)
        assert f"summary {len(told)}" not in str(asked[-1].system_instructions)


async def test_a_conversation_shows_the_summary_of_no_branch_but_its_own(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    async with running_app(chain=Echo().chain) as running:
        talk = Talk(running)
        await talk.say("one")
        old = await talk.say("two")
        async with superuser.begin() as connection:
            await connection.execute(
                text(
                    "UPDATE conversations SET summary = 'Two.', summary_turn = 2 WHERE id = :talk"
                ),
                {"talk": talk.id},
            )

        async def summary() -> Any:
            read = await talk.client.get(talk.path, headers=talk.person.headers)
            return read.json()["summary"]

        assert await summary() == "Two."
        await talk.edit(said_in(old), "deux")
        assert await summary() is None
        assert (await talk.change(branch=turn_of(old))).json()["summary"] == "Two."


class _Older(Function):
    """The function that the release before calls, with what it does not return."""

    def __init__(self, newer: Function) -> None:
        known = [name for name in newer._parameters[:-3] if name != "conversations_max"]
        super().__init__("turn_begin_1", *known)
        missing = "NULL::uuid AS version_of, NULL::int AS version, NULL AS follows, NULL AS kept"
        self.sql = self.sql.replace("SELECT *", f"SELECT *, {missing}")


def _taken_apart_by_older(history: str | None) -> list[PastTurn]:
    return [
        PastTurn(number, said, calls or (), reply)
        for number, said, calls, reply in json.loads(history or "[]")
    ]


async def test_a_message_that_the_release_before_takes_follows_the_branch(
    running_app: AppMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Echo()
    async with running_app(chain=model.chain) as running:
        talk = Talk(running)
        first = await talk.say("one")
        await talk.edit(said_in(first), "another one")
        monkeypatch.setattr(store.begin, "TURN_BEGIN", _Older(store.begin.TURN_BEGIN))
        monkeypatch.setattr(store.begin, "past_turns_in", _taken_apart_by_older)
        await talk.say("two")
        assert model.given[-1] == ["another one", "reply 2", "two"]
        assert await talk.shown() == ["another one", "reply 2", "two", "reply 3"]

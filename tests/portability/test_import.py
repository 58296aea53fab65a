"""An import writes the caller's rows and no others, doubles nothing, and leaves histories valid."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.answers import MARK, ask, error_of, raw_headers
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person, says, scripted
from tests.portability.data import (
    MOMENT,
    Line,
    conversation_line,
    exported,
    file_of,
    imported,
    send,
    task_line,
    turn_line,
    written,
)
from tests.sharing.links import link_to, talk

from taskchat.errors import DatabaseError
from taskchat.portability import importing, patience
from taskchat.portability.store import bring


async def busy_person(client: httpx.AsyncClient) -> Person:
    """A person with two conversations, and three tasks of which one is deleted."""
    person = Person()
    for titles in (("Buy milk", "Buy bread", "Call mom"), ("Rest",)):
        conversation = None
        for title in titles:
            answer = await person.say(client, f"Add task: {title}", conversation_id=conversation)
            conversation = answer.json()["conversation_id"]
    path = f"/api/{person.user_id}/tasks"
    await client.patch(f"{path}/1", json={"completed": True}, headers=person.headers)
    assert (await client.delete(f"{path}/2", headers=person.headers)).status_code == 204
    return person


def without_ids(lines: list[Line]) -> list[Any]:
    """An export as it is after a way through an import: without ids, usage, and its own time."""
    conversations: dict[str, list[Line]] = {}
    others = []
    for line in json.loads(json.dumps(lines)):
        kind = line["type"]
        if kind == "conversation":
            conversations[line.pop("id")] = [line]
        elif kind == "turn":
            del line["id"], line["model_calls"], line["message"]["id"]
            if line["reply"]:
                del line["reply"]["id"]
            if line["error"]:
                del line["error"]["request_id"]
            for call in line["tool_calls"]:
                del call["id"]
            conversations[line.pop("conversation_id")].append(line)
        elif kind == "task":
            others.append(line)
    return [*sorted(conversations.values(), key=lambda group: group[0]["origin"]), others]


async def test_exported_deleted_and_imported_it_is_the_same_export_again(
    client: httpx.AsyncClient,
) -> None:
    person = await busy_person(client)
    before = await exported(client, person)
    deleted = await client.delete(f"/api/{person.user_id}", headers=person.headers)
    assert deleted.status_code == 204
    assert [line["type"] for line in await exported(client, person)] == ["export", "end"]
    answer = await imported(client, person, before)
    assert answer == {
        "lines": len(before),
        "conversations": {"added": 2, "known": 0},
        "turns": {"added": 4, "known": 0},
        "tasks": {"added": 3, "known": 0},
        "left_out": [{"type": "usage_day", "lines": 1, "reason": "usage is not imported"}],
    }
    after = await exported(client, person)
    assert without_ids(after) == without_ids(before)
    old, new = (
        {line["id"] for line in lines if "turn" in line["type"]} for lines in (before, after)
    )
    assert old.isdisjoint(new)
    # Numbers that were never given here are kept: what was said about task 3 still holds.
    assert [line["id"] for line in after if line["type"] == "task"] == [1, 3, 4]
    # And once more, from the second export.
    await client.delete(f"/api/{person.user_id}", headers=person.headers)
    await imported(client, person, after)
    assert without_ids(await exported(client, person)) == without_ids(before)
    assert (await imported(client, person, before))["turns"] == {"added": 0, "known": 4}


async def test_branches_are_exported_and_come_back(client: httpx.AsyncClient) -> None:
    person = Person()

    async def version(message_id: str, message: str) -> dict[str, Any]:
        answer = await client.put(
            f"/api/{person.user_id}/messages/{message_id}",
            json={"message": message},
            headers=person.headers,
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    first = (await person.say(client, "Add task: Tea")).json()
    talk = first["conversation_id"]
    second = (await person.say(client, "Show my tasks", conversation_id=talk)).json()
    rated = await client.put(
        f"/api/{person.user_id}/messages/{second['messages'][-1]['id']}/rating",
        json={"value": "down", "comment": "Too long."},
        headers=person.headers,
    )
    assert rated.status_code == 200
    await version(second["messages"][-2]["id"], "Complete task 1")
    await version(first["messages"][0]["id"], "Add task: Coffee")
    await person.say(client, "Show my tasks", conversation_id=talk)
    before = await exported(client, person)
    [conversation] = [line for line in before if line["type"] == "conversation"]
    turns = [line for line in before if line["type"] == "turn"]
    assert conversation["branch"] == [[4, 5]]
    assert [(turn["follows"], turn["version_of"]) for turn in turns] == [
        *((None, None), (None, None)),
        *(([[1, 1]], 2), ([], 1), ([[4, 4]], None)),
    ]
    markdown = await client.get(
        f"/api/{person.user_id}/export?format=markdown", headers=person.headers
    )
    assert "(another version of 2)" in markdown.text
    assert "Rated down" in markdown.text
    assert [turn["rating"] and turn["rating"]["value"] for turn in turns] == [
        *(None, "down", None, None, None)
    ]

    await client.delete(f"/api/{person.user_id}", headers=person.headers)
    await imported(client, person, before)
    after = await exported(client, person)
    assert without_ids(after) == without_ids(before)

    path = f"/api/{person.user_id}/conversations"
    [kept] = (await client.get(path, headers=person.headers)).json()["data"]
    listed = await client.get(f"{path}/{kept['id']}/turns", headers=person.headers)
    ids = [turn["id"] for turn in listed.json()["data"]]
    assert kept["branch"] == ids[4]

    async def said(turn: str | None = None) -> list[str]:
        page = await client.get(
            f"{path}/{kept['id']}/messages",
            params={"branch": turn} if turn else {},
            headers=person.headers,
        )
        return [one["content"] for one in page.json()["data"] if one["role"] == "user"]

    assert await said() == ["Add task: Coffee", "Show my tasks"]
    assert await said(ids[1]) == ["Add task: Tea", "Show my tasks"]
    assert await said(ids[2]) == ["Add task: Tea", "Complete task 1"]
    await person.say(client, "And again", conversation_id=kept["id"])
    assert await said() == ["Add task: Coffee", "Show my tasks", "And again"]


async def contents(
    client: httpx.AsyncClient, person: Person, conversation: str, branch: str | None = None
) -> list[str]:
    """What the user said on a branch."""
    page = await client.get(
        f"/api/{person.user_id}/conversations/{conversation}/messages",
        params={"branch": branch} if branch else {},
        headers=person.headers,
    )
    return [one["content"] for one in page.json()["data"] if one["role"] == "user"]


async def test_branches_that_were_made_here_stay_when_a_longer_file_is_imported(
    client: httpx.AsyncClient,
) -> None:
    person = Person()
    turns = [turn_line(number=number) for number in range(1, 5)]
    await imported(client, person, file_of(conversation_line(turns=2), *turns[:2]))
    path = f"/api/{person.user_id}/conversations"
    [kept] = (await client.get(path, headers=person.headers)).json()["data"]
    page = await client.get(f"{path}/{kept['id']}/messages", headers=person.headers)
    edited = await client.put(
        f"/api/{person.user_id}/messages/{page.json()['data'][2]['id']}",
        json={"message": "Mine"},
        headers=person.headers,
    )
    assert edited.status_code == 200, edited.text

    # There, it went on without a branch; its third turn comes too late for its number.
    longer = file_of(conversation_line(turns=4), *turns)
    assert (await imported(client, person, longer))["turns"] == {"added": 1, "known": 3}
    assert await contents(client, person, kept["id"]) == ["Add task: T1", "Mine"]
    listed = await client.get(f"{path}/{kept['id']}/turns", headers=person.headers)
    fourth = listed.json()["data"][3]["id"]
    assert await contents(client, person, kept["id"], fourth) == [
        f"Add task: T{number}" for number in (1, 2, 4)
    ]
    await person.say(client, "And again", conversation_id=kept["id"])
    assert await contents(client, person, kept["id"]) == ["Add task: T1", "Mine", "And again"]


async def test_a_version_whose_first_is_missing_is_a_turn_of_its_own(
    client: httpx.AsyncClient,
) -> None:
    person = Person()
    await imported(
        client,
        person,
        file_of(
            conversation_line(turns=3, branch=[[3, 3]]),
            turn_line(number=2, version_of=1, follows=[]),
            turn_line(number=3, version_of=2, follows=[]),
        ),
    )
    turns = [line for line in await exported(client, person) if line["type"] == "turn"]
    assert [(turn["number"], turn["version_of"]) for turn in turns] == [(2, None), (3, 2)]


async def test_what_was_read_of_a_stopped_reply_is_told_after_an_import(
    client: httpx.AsyncClient,
) -> None:
    person = Person()
    stopped = turn_line(
        status="cancelled",
        error={"error_code": "turn_cancelled", "error": "It was cancelled.", "request_id": "r"},
    )
    await imported(client, person, file_of(conversation_line(), stopped))
    path = f"/api/{person.user_id}"
    [kept] = (await client.get(f"{path}/conversations", headers=person.headers)).json()["data"]
    page = await client.get(f"{path}/conversations/{kept['id']}/messages", headers=person.headers)
    [_, reply] = page.json()["data"]
    assert reply["interrupted"]
    turn = await client.get(f"{path}/turns/{reply['turn_id']}", headers=person.headers)
    assert turn.json()["error"]["details"] == [
        {
            "field": "reply",
            "problem": "was interrupted",
            "message_id": reply["id"],
            "content": "Added “T1”.",
        }
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"follows": [[1, 2]]},
        {"follows": [[0, 1]]},
        {"follows": [[1]]},
        {"follows": [["1", "1"]]},
        {"follows": "{[1,1]}"},
        {"version_of": 2},
        {"version_of": 0},
    ],
)
async def test_a_branch_that_cannot_be_is_refused(
    client: httpx.AsyncClient, fields: dict[str, Any]
) -> None:
    person = Person()
    first = (await person.say(client, "hello")).json()
    await person.say(client, "hello", conversation_id=first["conversation_id"])
    lines = await exported(client, person)
    lines[3] |= fields
    answer = await client.post(
        f"/api/{person.user_id}/import",
        content="".join(json.dumps(line) + "\n" for line in lines),
        headers=person.headers | {"Content-Type": "application/x-ndjson"},
    )
    assert (answer.status_code, answer.json()["error_code"]) == (400, "invalid_request")


async def test_the_same_file_again_doubles_nothing(client: httpx.AsyncClient) -> None:
    lines, person = await exported(client, await busy_person(client)), Person()
    await imported(client, person, lines)
    before = await exported(client, person)
    answer = await imported(client, person, lines)
    assert [answer[kind] for kind in ("conversations", "turns", "tasks")] == [
        {"added": 0, "known": 2},
        {"added": 0, "known": 4},
        {"added": 0, "known": 3},
    ]
    assert (await exported(client, person))[1:] == before[1:]


async def test_ones_own_export_doubles_nothing_of_what_is_still_there(
    client: httpx.AsyncClient,
) -> None:
    person = await busy_person(client)
    before = await exported(client, person)
    answer = await imported(client, person, before)
    assert [answer[kind]["added"] for kind in ("conversations", "turns", "tasks")] == [0, 0, 0]
    assert (await exported(client, person))[1:] == before[1:]
    await client.delete(f"/api/{person.user_id}/tasks/3", headers=person.headers)
    assert (await imported(client, person, before))["tasks"] == {"added": 1, "known": 2}
    tasks = [line for line in await exported(client, person) if line["type"] == "task"]
    # Its old number was given before, and is not given again.
    assert [(task["id"], task["title"]) for task in tasks] == [
        (1, "Buy milk"),
        (4, "Rest"),
        (5, "Call mom"),
    ]


async def test_imported_twice_at_once_it_is_there_once(client: httpx.AsyncClient) -> None:
    lines, person = await exported(client, await busy_person(client)), Person()
    answers = await asyncio.gather(*(imported(client, person, lines) for _ in range(4)))
    for kind, count in (("conversations", 2), ("turns", 4), ("tasks", 3)):
        assert sum(answer[kind]["added"] for answer in answers) == count
        assert all(sum(answer[kind].values()) == count for answer in answers)
    assert without_ids(await exported(client, person)) == without_ids(lines)


async def test_an_import_writes_the_callers_rows_only_under_ids_that_nobody_chooses(
    client: httpx.AsyncClient, superuser: AsyncEngine
) -> None:
    owner, thief = await busy_person(client), Person()
    lines = await exported(client, owner)
    await imported(client, thief, lines)
    async with superuser.connect() as connection:
        for table in ("conversations", "turns", "messages", "tool_calls"):
            twice = await connection.scalar(
                text(
                    f"SELECT count(*) FROM {table} AS a JOIN {table} AS b"
                    " ON a.id = b.id AND a.user_id <> b.user_id"
                )
            )
            assert twice == 0, table
    assert (await exported(client, owner))[1:] == lines[1:]
    taken = [line["id"] for line in lines if line["type"] == "conversation"]
    for id_ in taken:
        answer = await client.get(
            f"/api/{thief.user_id}/conversations/{id_}", headers=thief.headers
        )
        assert answer.status_code == 404


async def test_an_imported_conversation_goes_on_with_a_valid_history(
    running_app: AppMaker,
) -> None:
    person = Person()
    lines = file_of(
        conversation_line(turns=4),
        turn_line(number=1),
        turn_line(number=2, status="failed", reply=None, finished_at=MOMENT),
        turn_line(number=3, status="running", reply=None, model=None, finished_at=None),
        turn_line(number=4, tool_calls=[]),
    )
    model, chain = scripted(says("Here I am."))
    async with running_app(chain=chain) as running:
        await imported(running.client, person, lines)
        [conversation] = (
            await running.client.get(f"/api/{person.user_id}/conversations", headers=person.headers)
        ).json()["data"]
        assert conversation["turns"] == 4
        answer = await person.say(running.client, "Go on", conversation_id=conversation["id"])
        assert answer.status_code == 200, answer.text
        turn = await running.client.get(
            f"/api/{person.user_id}/turns/{answer.json()['turn_id']}", headers=person.headers
        )
        assert turn.json()["number"] == 5
        statuses = []
        for line in (await exported(running.client, person))[2:6]:
            shown = await running.client.get(
                f"/api/{person.user_id}/turns/{line['id']}", headers=person.headers
            )
            told = shown.json()
            statuses.append((told["status"], (told["error"] or {}).get("error_code")))
            events = await running.client.get(
                f"/api/{person.user_id}/turns/{line['id']}/events",
                headers=person.headers | {"Accept": "text/event-stream"},
            )
            # Its events are not there, but its end is.
            assert ("turn_completed" in events.text) is (told["status"] == "completed")
    [history] = [call.input for call in model.calls]
    calls = [item["call_id"] for item in history if item.get("type") == "function_call"]
    outputs = [i["call_id"] for i in history if i.get("type") == "function_call_output"]
    assert calls == outputs == ["call_1", "call_2", "call_3"]
    assert [item["content"] for item in history if item.get("role") == "user"] == [
        *(f"Add task: T{number}" for number in range(1, 5)),
        "Go on",
    ]
    assert statuses == [
        ("completed", None),
        ("failed", "internal_error"),
        ("failed", "internal_error"),
        ("completed", None),
    ]


async def test_what_is_said_during_an_import_comes_after_it(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that breaks off leaves a conversation that works, and is healed by a repeat."""
    person = Person()
    monkeypatch.setattr(importing, "ROWS_AT_ONCE", 2)
    whole = file_of(conversation_line(turns=5), *(turn_line(number=n) for n in range(1, 6)))
    answer = await send(client, person, whole[:5])
    body = error_of(answer, 400)
    assert body["details"] == [{"field": "line 6", "problem": "is missing"}]
    [listed] = (
        await client.get(f"/api/{person.user_id}/conversations", headers=person.headers)
    ).json()["data"]
    said = await person.say(client, "hello", conversation_id=listed["id"])
    assert said.status_code == 200
    assert (await imported(client, person, whole))["turns"] == {"added": 2, "known": 3}
    turns = [line for line in await exported(client, person) if line["type"] == "turn"]
    assert [turn["number"] for turn in turns] == [1, 2, 3, 4, 5, 6]
    assert turns[5]["message"]["content"] == "hello"


async def test_a_conversation_that_is_deleted_while_it_is_imported_is_brought_by_a_repeat(
    client: httpx.AsyncClient, superuser: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person()
    monkeypatch.setattr(importing, "ROWS_AT_ONCE", 2)
    bring_turns, batches = bring.bring_turns, 0

    async def bring_and_lose(*args: Any, **own: Any) -> int:
        nonlocal batches
        batches += 1
        if batches == 2:
            async with superuser.begin() as connection:
                await connection.execute(
                    text("DELETE FROM conversations WHERE user_id = :owner"),
                    {"owner": person.user_id},
                )
        return await bring_turns(*args, **own)

    monkeypatch.setattr(bring, "bring_turns", bring_and_lose)
    whole = file_of(conversation_line(turns=5), *(turn_line(number=n) for n in range(1, 6)))
    answer = await send(client, person, whole)
    body = answer.json()
    assert (answer.status_code, body["error_code"]) == (503, "database_error")
    assert "deleted while it was imported" in body["error"]
    assert batches == 2, "no wait brings it back"
    assert (await imported(client, person, whole))["turns"] == {"added": 5, "known": 0}


async def test_an_import_makes_no_more_conversations_active_than_may_be(
    running_app: AppMaker,
) -> None:
    person = Person()
    statuses = ("active", "ended", "active", "active")
    whole = file_of(
        *(conversation_line(n, turns=0, status=status) for n, status in enumerate(statuses, 1))
    )
    async with running_app(conversations_active_max=2) as running:
        for _ in range(2):
            await imported(running.client, person, whole)
            lines = await exported(running.client, person)
            kept = [line for line in lines if line["type"] == "conversation"]
            kept.sort(key=lambda line: str(line["title"]))
            assert [line["status"] for line in kept] == ["active", "ended", "active", "paused"]


async def test_a_number_that_a_task_has_had_here_is_not_given_again(
    client: httpx.AsyncClient,
) -> None:
    person = Person()
    for title in ("mine 1", "mine 2"):
        await client.post(
            f"/api/{person.user_id}/tasks", json={"title": title}, headers=person.headers
        )
    await imported(client, person, file_of(task_line(1), task_line(5), task_line(2**31 - 1)))
    tasks = [line for line in await exported(client, person) if line["type"] == "task"]
    assert [task["id"] for task in tasks] == [1, 2, 3, 5, 6]
    added = await client.post(
        f"/api/{person.user_id}/tasks", json={"title": "next"}, headers=person.headers
    )
    assert added.json()["id"] == 7


async def test_lines_of_unknown_types_are_reported_and_left_out(
    client: httpx.AsyncClient,
) -> None:
    feedback = {"type": "feedback", "anything": [1, {"a": None}]}
    answer = await imported(client, Person(), file_of(feedback, task_line(), feedback))
    assert answer["tasks"]["added"] == 1
    assert answer["left_out"] == [
        {"type": "feedback", "lines": 2, "reason": "this release does not know the type"}
    ]


async def test_links_are_not_imported(client: httpx.AsyncClient) -> None:
    person = Person()
    conversation = await talk(client, person, "hello")
    await link_to(client, person, conversation)
    answer = await imported(client, Person(), await exported(client, person))
    assert {"type": "share", "lines": 1, "reason": "links are not imported; make new ones"} in (
        answer["left_out"]
    )


HEAD, END = file_of()


def headed(**changes: Any) -> list[Line]:
    return [HEAD | changes, END]


REFUSED: dict[str, list[Line]] = {
    "another version": headed(version=2),
    "a version that is no number": headed(version="1"),
    "no version": [{"type": "export"}, END],
    "no head": [task_line(), END],
    "two heads": file_of(HEAD),
    "a type that is no type": file_of({"type": f"{MARK} x"}),
    "no type": file_of({"title": MARK}),
    "an unknown key": file_of(task_line(**{MARK: 1})),
    "a missing key": file_of({"type": "task", "id": 1}),
    "an owner": file_of(task_line(user_id=MARK)),
    "an id that is no id": file_of(conversation_line(id="{0199f3a0-0000-7000-8000-000000000001}")),
    "a title of a conversation that is too long": file_of(conversation_line(title="x" * 201)),
    "turns beyond count": file_of(conversation_line(turns=10_000_000)),
    "a summary of more than was said": file_of(conversation_line(summary_turn=7)),
    "a time without a zone": file_of(conversation_line(created_at="2026-11-21T02:25:26")),
    "a time before time": file_of(conversation_line(created_at="0001-01-01T00:00:00+14:00")),
    "a time that is a number": file_of(conversation_line(created_at=1)),
    "a turn without its conversation": file_of(turn_line()),
    "a turn of another conversation": file_of(conversation_line(2), turn_line(1)),
    "a turn twice": file_of(conversation_line(turns=2), turn_line(), turn_line()),
    "a turn too many": file_of(conversation_line(), turn_line(), turn_line(number=2)),
    "a completed turn without a reply": file_of(conversation_line(), turn_line(reply=None)),
    "a completed turn without a model": file_of(conversation_line(), turn_line(model=None)),
    "a turn with one call twice": file_of(
        conversation_line(), turn_line(tool_calls=turn_line()["tool_calls"] * 2)
    ),
    "a status that is none": file_of(conversation_line(), turn_line(status=MARK)),
    "a NUL": file_of(task_line(title="a\0b")),
    "a lone surrogate": file_of(task_line(title="\ud800")),
    "an empty title": file_of(task_line(title=" ")),
    "a title too long": file_of(task_line(title="x" * 201)),
    "a number too large": file_of(task_line(2**31)),
    "a truth that is a text": file_of(task_line(completed="true")),
    "one line too few": [HEAD, {"type": "end", "lines": 2}],
    "no end": [HEAD, task_line()],
    "something behind the end": [HEAD, END, task_line()],
    "nothing": [],
    "too many types": file_of(*({"type": f"t{n}"} for n in range(30))),
}


@pytest.mark.parametrize("lines", REFUSED.values(), ids=REFUSED)
async def test_a_file_that_is_not_the_format_is_refused_by_its_line(
    client: httpx.AsyncClient, lines: list[Line]
) -> None:
    body = error_of(await send(client, Person(), lines), 400)
    assert body["error_code"] == "invalid_request"
    assert body["details"]
    assert all(detail["field"].startswith("line ") for detail in body["details"])


@pytest.mark.parametrize(
    "raw",
    [
        b"\n",
        b"{",
        b"[]\n",
        b'"export"\n',
        b'{"type": "export", "type": "export"}\n',
        b"\xff\xfe\n",
        b"\xef\xbb\xbf" + written(file_of()).encode(),
        written(file_of()).replace("\n", "\n\n").encode(),
        b"[" * 5000 + b"\n",
        b'{"type": NaN}\n',
        written(file_of(task_line())).replace('"completed": false', '"completed": 1e999').encode(),
    ],
)
async def test_what_is_no_json_line_is_refused(client: httpx.AsyncClient, raw: bytes) -> None:
    assert error_of(await send(client, Person(), raw), 400)["details"]


async def test_what_stood_before_a_bad_line_is_imported_and_the_error_says_so(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "ROWS_AT_ONCE", 1)
    person = Person()
    mended = file_of(task_line(1), task_line(2), task_line(3))
    broken = [*mended[:2], task_line(2, title=""), *mended[3:]]
    body = error_of(await send(client, person, broken), 400)
    assert "doubles nothing" in body["error"]
    assert body["details"] == [{"field": "line 3.title", "problem": "must not be empty"}]
    assert (await imported(client, person, mended))["tasks"] == {"added": 2, "known": 1}


async def test_a_file_a_line_or_a_type_beyond_the_limits_is_refused(
    running_app: AppMaker,
) -> None:
    person = Person()
    lines = file_of(task_line(description="x" * 2000))
    size, longest = len(written(lines)), len(written([lines[1]])) - 1
    for limits, status in (
        ({"import_bytes_max": size, "import_line_bytes_max": longest}, 200),
        ({"import_bytes_max": size - 1}, 413),
        ({"import_line_bytes_max": longest - 1}, 413),
    ):
        async with running_app(**limits) as running:
            answer = await send(running.client, person, lines)
            assert answer.status_code == status, answer.text
            if status == 413:
                assert error_of(answer, 413)["error_code"] == "payload_too_large"

    async def chunks() -> Any:
        for start in range(0, size, 7):
            yield written(lines)[start : start + 7].encode()

    async with running_app(body_bytes_max=1024) as running:
        answer = await running.client.post(
            f"/api/{person.user_id}/import",
            content=chunks(),
            headers=person.headers | {"Content-Type": "application/jsonl; charset=utf-8"},
        )
        assert answer.status_code == 200, answer.text
        for content_type in ("application/json", "text/plain", "application/x-ndjson, x/y"):
            answer = await send(running.client, person, lines, **{"Content-Type": content_type})
            assert error_of(answer, 415)["error_code"] == "unsupported_media_type"
        answer = await send(running.client, person, lines, **{"Content-Encoding": "gzip"})
        error_of(answer, 415)


async def test_a_database_that_stays_away_is_told_with_what_to_do(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "WAIT_S", 0)

    async def away(*_: object) -> None:
        raise DatabaseError

    monkeypatch.setattr("taskchat.portability.store.bring.lock_task_counter", away)
    answer = await send(client, Person(), file_of(task_line()))
    assert (answer.status_code, answer.json()["error_code"]) == (503, "database_error")
    assert "doubles nothing" in answer.json()["error"]


async def test_a_client_who_leaves_half_way_has_imported_half(
    offline_app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "ROWS_AT_ONCE", 1)
    person = Person()
    lines = file_of(*(task_line(n) for n in range(1, 6)))

    async def half() -> Any:
        yield written(lines[:3]).encode()

    answer = await ask(
        offline_app.app,
        "POST",
        f"/api/{person.user_id}/import".encode(),
        headers=raw_headers(person.headers | {"Content-Type": "application/x-ndjson"}),
        body=half(),
    )
    error_of(answer, 400)
    assert (await imported(offline_app.client, person, lines))["tasks"] == {"added": 3, "known": 2}

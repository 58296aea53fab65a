"""An export is whole, whatever its size, and in each of its forms valid whatever was said."""

import asyncio
import json
import re
import tracemalloc
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person, calls_tool, scripted
from tests.portability.data import conversation_line, exported, file_of, imported, turn_line
from tests.sharing.links import link_to

from taskchat.errors import DatabaseError
from taskchat.http.gate import BrokenAnswer
from taskchat.portability import exporting, patience
from taskchat.portability.documents import MEDIA_TYPES
from taskchat.portability.exporting import everything
from taskchat.portability.store import find
from taskchat.postgres.database import Database

FORMATS = ["json", "jsonl", "markdown"]


async def busy_person(client: httpx.AsyncClient) -> tuple[Person, list[str]]:
    """A person with two conversations, three tasks and usage."""
    person, ids = Person(), []
    for titles in (("Buy milk", "Buy bread"), ("Call mom",)):
        conversation = None
        for title in titles:
            answer = await person.say(client, f"Add task: {title}", conversation_id=conversation)
            conversation = answer.json()["conversation_id"]
        ids.append(str(conversation))
    return person, ids


async def document(client: httpx.AsyncClient, person: Person, **params: str) -> httpx.Response:
    return await client.get(f"/api/{person.user_id}/export", params=params, headers=person.headers)


async def test_all_that_a_user_has_is_exported_line_by_line(client: httpx.AsyncClient) -> None:
    person, ids = await busy_person(client)
    await client.patch(
        f"/api/{person.user_id}/tasks/2", json={"completed": True}, headers=person.headers
    )
    lines = await exported(client, person)
    assert [line["type"] for line in lines] == [
        *("export", "conversation", "turn", "turn", "conversation", "turn"),
        *("task", "task", "task", "usage_day", "end"),
    ]
    assert lines[0] | {"exported_at": ""} == {
        "type": "export",
        "version": 1,
        "scope": "user",
        "exported_at": "",
    }
    assert [line["id"] for line in lines if line["type"] == "conversation"] == ids
    assert lines[-1] == {"type": "end", "lines": len(lines) - 1}
    for number, line in enumerate(lines[2:4], 1):
        shown = await client.get(
            f"/api/{person.user_id}/turns/{line['id']}", headers=person.headers
        )
        turn = shown.json()
        assert line["number"] == number
        assert line["message"]["content"] == turn["message"]
        assert line["reply"]["content"] == turn["reply"]
        assert line["usage"] == turn["usage"]
        assert line["model_calls"] == turn["model_calls"]
        [call] = line["tool_calls"]
        [told] = turn["tool_calls"]
        assert {name: call[name] for name in told} == told
        for name in ("channel", "status", "model", "created_at", "started_at", "finished_at"):
            assert line[name] == turn[name], name
    tasks = [line for line in lines if line["type"] == "task"]
    assert [(task["id"], task["title"], task["completed"]) for task in tasks] == [
        (1, "Buy milk", False),
        (2, "Buy bread", True),
        (3, "Call mom", False),
    ]
    day = lines[-2]
    assert (day["model"], day["turns"], day["model_calls"], day["cost"]) == ("offline", 3, 6, "0")


async def test_json_holds_what_the_lines_hold(client: httpx.AsyncClient) -> None:
    person, _ = await busy_person(client)
    lines = await exported(client, person)
    whole = json.loads((await document(client, person)).text)

    def of(kind: str) -> list[dict[str, Any]]:
        return [
            {name: value for name, value in line.items() if name != "type"}
            for line in lines
            if line["type"] == kind
        ]

    turns = [turn for conversation in whole["conversations"] for turn in conversation.pop("turns")]
    assert whole["conversations"] == of("conversation")
    assert turns == of("turn")
    assert whole["tasks"] == of("task")
    assert whole["usage_days"] == of("usage_day")
    assert (whole["version"], whole["scope"], whole["complete"]) == (1, "user", True)


async def test_a_user_with_nothing_has_a_whole_export(client: httpx.AsyncClient) -> None:
    person = Person()
    assert [line["type"] for line in await exported(client, person)] == ["export", "end"]
    whole = (await document(client, person, format="json")).json()
    sections = ("conversations", "tasks", "usage_days", "shares", "schedules", "external_ids")
    assert [whole[section] for section in sections] == [[], [], [], [], [], []]
    assert (await document(client, person, format="markdown")).text.startswith("# taskchat")


async def test_links_that_are_good_are_exported_without_their_tokens(
    client: httpx.AsyncClient, superuser: AsyncEngine
) -> None:
    person, ids = await busy_person(client)
    made = [await link_to(client, person, id_, with_tool_calls=True) for id_ in (*ids, ids[0])]
    expired = made.pop()
    async with superuser.begin() as connection:
        await connection.execute(
            text("UPDATE shares SET expires_at = now() WHERE id = :id"), {"id": expired["id"]}
        )
    told = [{"conversation_id": id_, **link} for id_, link in zip(ids, made, strict=True)]
    tokens = [str(link.pop("token")) for link in told]
    lines = [line for line in await exported(client, person) if line["type"] == "share"]
    assert lines == [{"type": "share", **link} for link in told]
    whole = await document(client, person)
    assert whole.json()["shares"] == told
    read = await document(client, person, format="markdown")
    assert read.text.count("\n- Link to Add task\\: Buy milk, 2 turns, with tool calls") == 1
    for answer in (whole, read):
        assert not [token for token in tokens if token in answer.text]


async def test_schedules_are_exported_and_not_imported(client: httpx.AsyncClient) -> None:
    person = Person()
    made = await client.post(
        f"/api/{person.user_id}/schedules",
        json={"message": "> *Tea*?\nNow", "rule": "FREQ=DAILY", "time_zone": "Europe/Berlin"},
        headers=person.headers,
    )
    schedule = made.json()
    told = {name: schedule[name] for name in schedule.keys() - {"last_turn_id", "last_error"}}
    lines = [line for line in await exported(client, person) if line["type"] == "schedule"]
    assert lines == [{"type": "schedule", **told}]
    assert (await document(client, person)).json()["schedules"] == [told]
    read = await document(client, person, format="markdown")
    assert (
        "\n- To be said by FREQ\\=DAILY, Europe/Berlin, active\n  > > *Tea*?\n  > Now\n"
        in read.text
    )
    file = (await document(client, person, format="jsonl")).content
    other = Person()
    brought = await client.post(
        f"/api/{other.user_id}/import",
        content=file,
        headers=other.headers | {"Content-Type": "application/x-ndjson"},
    )
    assert [(one["type"], one["lines"]) for one in brought.json()["left_out"]] == [("schedule", 1)]
    page = await client.get(f"/api/{other.user_id}/schedules", headers=other.headers)
    assert page.json()["data"] == []


async def test_one_conversation_is_exported_alone(client: httpx.AsyncClient) -> None:
    person, ids = await busy_person(client)
    lines = await exported(client, person, f"conversations/{ids[1]}/export")
    assert [line["type"] for line in lines] == ["export", "conversation", "turn", "end"]
    assert (lines[0]["scope"], lines[1]["id"]) == ("conversation", ids[1])
    answer = await client.get(
        f"/api/{person.user_id}/conversations/{ids[0]}/export", headers=person.headers
    )
    assert [len(one["turns"]) for one in answer.json()["conversations"]] == [2]


@pytest.mark.parametrize("form", FORMATS)
async def test_a_document_comes_as_a_file_of_its_type(client: httpx.AsyncClient, form: str) -> None:
    person, ids = await busy_person(client)
    for path in ("export", f"conversations/{ids[0]}/export"):
        for method in ("GET", "HEAD"):
            answer = await client.request(
                method,
                f"/api/{person.user_id}/{path}",
                params={"format": form},
                headers=person.headers,
            )
            assert answer.status_code == 200
            assert answer.headers["content-type"].split(";")[0] == MEDIA_TYPES[form]  # type: ignore[index]
            assert re.fullmatch(
                r'attachment; filename="[a-z0-9-]+\.(json|jsonl|md)"',
                answer.headers["content-disposition"],
            )
            assert bool(answer.content) is (method == "GET")


@pytest.mark.parametrize("path", ["export", "conversations/{}/export"])
async def test_an_unknown_format_or_one_that_is_not_accepted_is_refused(
    client: httpx.AsyncClient, path: str
) -> None:
    person, ids = await busy_person(client)
    address = f"/api/{person.user_id}/{path.format(ids[0])}"
    for form in ("xml", "", "JSON"):
        answer = await client.get(address, params={"format": form}, headers=person.headers)
        assert (answer.status_code, answer.json()["error_code"]) == (400, "invalid_request")
    for form, accept in (("markdown", "application/json"), ("json", "text/markdown")):
        answer = await client.get(
            address, params={"format": form}, headers=person.headers | {"Accept": accept}
        )
        assert (answer.status_code, answer.json()["error_code"]) == (406, "not_acceptable")


@pytest.mark.parametrize("form", FORMATS)
async def test_a_conversation_that_is_not_there_or_anothers_is_not_found(
    client: httpx.AsyncClient, form: str
) -> None:
    _, ids = await busy_person(client)
    stranger = Person()
    for id_ in (ids[0], "0199f3a0-0000-7000-8000-000000000000", "nonsense"):
        answer = await client.get(
            f"/api/{stranger.user_id}/conversations/{id_}/export",
            params={"format": form},
            headers=stranger.headers,
        )
        assert (answer.status_code, answer.json()["error_code"]) == (404, "not_found")
        assert "milk" not in answer.text


HOSTILE = "```\n# Not a heading\n- [x] not done\r> quote\r\n<!-- <script>~~~\n---\n    indented"


async def test_markdown_shows_all_and_no_text_leaves_its_block(
    client: httpx.AsyncClient,
) -> None:
    person = Person()
    turn = turn_line(error=None)
    turn["message"]["content"] = HOSTILE
    turn["reply"]["content"] = HOSTILE
    turn["tool_calls"][0]["parameters"] = {"title": HOSTILE, "`````": "x"}
    await imported(client, person, file_of(conversation_line(title="# [T](x) `a` | <b>"), turn))
    await client.post(
        f"/api/{person.user_id}/tasks",
        json={"title": "- [x] *bold*", "description": HOSTILE},
        headers=person.headers,
    )
    page = (await document(client, person, format="markdown")).text
    outside, fence = [], None
    for line in page.split("\n"):
        fenced = re.fullmatch(r"(`{3,})(json)?", line)
        if fence is None and fenced:
            fence = fenced[1]
        elif fence is not None:
            fence = None if line == fence else fence
        elif not re.match(r"(  )?>", line):
            outside.append(line)
    assert fence is None
    headings = [line for line in outside if line.startswith("#")]
    assert headings == [
        "# taskchat: All data of a user",
        r"## \# \[T\]\(x\) \`a\` \| \<b\>",
        "### 1. User, 2026-11-21 02:25:26 UTC",
        "### 1. Assistant, 2026-11-21 02:25:26 UTC",
    ]
    assert r"- [ ] Task 1: \- \[x\] \*bold\*" in outside
    assert "script" not in "\n".join(outside)
    assert outside[-2:] == ["End of the export.", ""]
    quoted = [line for line in page.split("\n") if line.startswith("> ")]
    assert quoted[: len(quoted) // 2] == [f"> {line}" for line in re.split("\r\n|\r|\n", HOSTILE)]


async def test_failed_cancelled_and_unfinished_turns_are_exported_as_they_are(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person = Person()
    _, chain = scripted(
        [calls_tool("add_task", {"title": "Done before the failure"})],
        RuntimeError("the vendor's bug"),
    )
    async with running_app(chain=chain) as running:
        assert (await person.say(running.client, "do it")).status_code == 502
        [_, _, turn, _, day, _] = await exported(running.client, person)
        assert (turn["status"], turn["reply"]) == ("failed", None)
        assert turn["error"]["error_code"] == "model_error"
        assert [call["tool_name"] for call in turn["tool_calls"]] == ["add_task"]
        assert day["type"] == "usage_day"
        async with superuser.begin() as connection:
            await connection.execute(
                # Of all unfinished ones it is the one that no app of another test takes up.
                text(
                    "UPDATE turns SET status = 'awaiting_feedback', result = NULL"
                    " WHERE user_id = :owner"
                ),
                {"owner": person.user_id},
            )
        turn = (await exported(running.client, person))[2]
        assert (turn["status"], turn["error"]) == ("awaiting_feedback", None)
        shown = await document(running.client, person, format="markdown")
        assert "This turn is awaiting feedback" in shown.text


async def test_an_export_is_read_page_by_page_without_a_gap(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, _ = await busy_person(client)
    for size in (1, 2):
        whole = await exported(client, person)
        monkeypatch.setattr(exporting, "ROWS_AT_ONCE", size)
        monkeypatch.setattr(exporting, "TURNS_AT_ONCE", size)
        assert (await exported(client, person))[1:] == whole[1:]


async def many_messages(superuser: AsyncEngine, conversations: int, turns: int) -> Person:
    """A person with conversations of so many turns, two messages each, written by the database."""
    person = Person()
    async with superuser.begin() as connection:
        for statement in (
            "INSERT INTO users (id) VALUES (:owner)",
            "INSERT INTO conversations (user_id, id, last_turn)"
            " SELECT CAST(:owner AS text), gen_random_uuid(), :turns"
            " FROM generate_series(1, :conversations)",
            "INSERT INTO turns (user_id, id, conversation_id, number, channel, status, model)"
            " SELECT user_id, gen_random_uuid(), id, number, 'rest', 'completed', 'offline'"
            " FROM conversations, generate_series(1, :turns) AS number WHERE user_id = :owner",
            "INSERT INTO messages (user_id, id, conversation_id, turn_id, turn_number, position,"
            " role, content) SELECT user_id, gen_random_uuid(), conversation_id, id, number, p,"
            " CASE p WHEN 0 THEN 'user' ELSE 'assistant' END, repeat('word ', 50)"
            " FROM turns, generate_series(0, 1) AS p WHERE user_id = :owner",
        ):
            values = {"owner": person.user_id, "turns": turns, "conversations": conversations}
            await connection.execute(
                text(statement), {name: v for name, v in values.items() if f":{name}" in statement}
            )
    return person


async def test_memory_does_not_grow_with_an_export(
    database: Database, superuser: AsyncEngine
) -> None:
    peaks, lengths = [], []
    for turns in (200, 2000):
        person = await many_messages(superuser, 1, turns)
        length = 0
        tracemalloc.start()
        try:
            async for page in everything(database, person.principal):
                length += sum(len(line.model_dump_json()) for line in page)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        lengths.append(length)
    assert lengths[1] > 8 * lengths[0]
    # Two pages at most are there at once, however many there are.
    assert peaks[1] < 2 * peaks[0], (peaks, lengths)


async def test_no_connection_is_held_while_a_reader_takes_its_time(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person = await many_messages(superuser, 1, 300)
    async with running_app(db_pool_size=1) as running:
        pages = everything(running.live.database, person.principal)
        for _ in range(3):
            await anext(pages)
        # The only connection is free.
        assert (await Person().say(running.client, "hello")).status_code == 200
        assert len([page async for page in pages]) == 3
        await pages.aclose()


async def asked(
    running: RunningApp, person: Person, *, leaves_after: int | None = None
) -> list[Any]:
    """What the app sends for an export, as its server gets it."""
    sent: list[Any] = []
    gone, asked_for = asyncio.Event(), False

    async def receive() -> dict[str, Any]:
        nonlocal asked_for
        if not asked_for:
            asked_for = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)
        if leaves_after is not None and len(sent) >= leaves_after:
            gone.set()
            await asyncio.sleep(0)

    path = f"/api/{person.user_id}/export"
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"format=jsonl",
        "root_path": "",
        "headers": [(name.lower().encode(), v.encode()) for name, v in person.headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("test", 80),
        "state": {},
    }
    try:
        await running.app(scope, receive, send)
    except BaseExceptionGroup as group:
        sent.append(group.exceptions[0])
    except BrokenAnswer as error:
        sent.append(error)
    return sent


async def test_an_export_that_can_not_go_on_breaks_off_and_never_looks_whole(
    offline_app: RunningApp, superuser: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await many_messages(superuser, 2, 150)
    monkeypatch.setattr(patience, "WAIT_S", 0)
    tries = 0

    async def away(*_: object, **__: object) -> None:
        nonlocal tries
        tries += 1
        raise DatabaseError

    monkeypatch.setattr("taskchat.portability.store.find.tasks_after", away)
    *sent, error = await asked(offline_app, person)
    assert isinstance(error, BrokenAnswer)
    assert tries == patience.ATTEMPTS
    assert sent[0]["status"] == 200
    assert all(message["more_body"] for message in sent[1:])
    lines = b"".join(message["body"] for message in sent[1:]).splitlines()
    assert json.loads(lines[-1])["type"] == "turn"


async def test_an_export_waits_for_a_database_that_comes_back(
    offline_app: RunningApp, superuser: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await many_messages(superuser, 1, 250)
    monkeypatch.setattr(patience, "WAIT_S", 0)
    read, failures = find.turns_after, iter([True, False, True, True, False])

    async def shaky(*args: Any, **options: Any) -> Any:
        if next(failures, False):
            raise DatabaseError
        return await read(*args, **options)

    monkeypatch.setattr("taskchat.portability.store.find.turns_after", shaky)
    lines = await exported(offline_app.client, person)
    assert [line["number"] for line in lines if line["type"] == "turn"] == list(range(1, 251))


async def test_what_goes_wrong_before_the_first_line_is_an_ordinary_error(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise DatabaseError

    monkeypatch.setattr("taskchat.portability.store.find.conversations_after", away)
    answer = await document(client, Person(), format="jsonl")
    assert (answer.status_code, answer.json()["error_code"]) == (503, "database_error")


async def test_a_reader_who_leaves_ends_the_reading(
    offline_app: RunningApp, superuser: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await many_messages(superuser, 1, 2000)
    read, pages = find.turns_after, 0

    async def counted(*args: Any, **options: Any) -> Any:
        nonlocal pages
        pages += 1
        return await read(*args, **options)

    monkeypatch.setattr("taskchat.portability.store.find.turns_after", counted)
    await asked(offline_app, person, leaves_after=4)
    assert pages < 20


async def test_turns_that_come_meanwhile_are_not_in_a_conversation_that_has_begun(
    client: httpx.AsyncClient, offline_app: RunningApp
) -> None:
    person, ids = await busy_person(client)
    pages = exporting.conversation(offline_app.live.database, person.principal, ids[0])  # type: ignore[arg-type]
    lines = [*(await anext(pages)), *(await anext(pages))]
    await person.say(client, "Add task: Too late", conversation_id=ids[0])
    lines += [line for page in [page async for page in pages] for line in page]
    assert [line.type for line in lines] == ["export", "conversation", "turn", "turn", "end"]

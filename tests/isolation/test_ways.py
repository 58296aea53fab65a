"""Nobody reaches another user's data by any way in: whatever the app routes, and every id."""

import json
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.routing import BaseRoute, Route, WebSocketRoute
from tests.conftest import RunningApp, in_a_task_of_its_own
from tests.factories import Person
from tests.isolation.test_tables import kept_of
from tests.live.served import served, socket
from tests.mcp_http.clients import call
from tests.test_isolation import owned

from taskchat.moments import new_id

UNLISTED = {
    "/",
    "/page/{version}/{name:path}",
    "/docs",
    "/docs/{name}",
    "/docs/files/{version}/{name:path}",
    "/llms.txt",
    "/llms-full.txt",
    "/openapi.json",
}
"""What the API's document does not have: pages, the same for everybody."""

SOCKETS = {"/ws/chat/{conversation_id}", "/{path:path}"}

PRIVATE = "The secret plan"
"""Of what the other user has."""


def routes_of(routes: Iterable[BaseRoute]) -> Iterator[Route | WebSocketRoute]:
    """Every route, those of included routers too."""
    for route in routes:
        router = getattr(route, "original_router", None)
        if router is not None:
            yield from routes_of(router.routes)
        else:
            assert isinstance(route, Route | WebSocketRoute), route
            yield route


def test_whatever_the_app_routes_is_in_the_apis_document_or_the_same_for_everybody(
    offline_app: RunningApp,
) -> None:
    documented = set(offline_app.app.openapi()["paths"])
    found = list(routes_of(offline_app.app.routes))
    http = {route.path for route in found if isinstance(route, Route)}
    assert http - documented == UNLISTED
    assert documented <= http
    assert {route.path for route in found if isinstance(route, WebSocketRoute)} == SOCKETS


Asked = tuple[str, str, dict[str, Any] | None]
"""A method, an address and a body, with names of ids in braces: foreign or unknown ones."""

ASKED: list[Asked] = [
    ("POST", "/api/ME/chat", {"message": "hello", "conversation_id": "{conversation_id}"}),
    (
        "POST",
        "/api/ME/schedules",
        {"message": "hello", "rule": "FREQ=DAILY", "conversation_id": "{conversation_id}"},
    ),
    ("GET", "/api/ME/schedules?conversation_id={conversation_id}", None),
    ("GET", "/api/ME/feedback?conversation_id={conversation_id}", None),
    ("GET", "/api/ME/limits?conversation_id={conversation_id}", None),
    ("GET", "/api/ME/search?q=secret&conversation_id={conversation_id}", None),
    ("GET", "/api/ME/ui/chat/{conversation_id}/stream?turn_id={turn_id}", None),
    ("GET", "/api/ME/ui/chat/{conversation_id}/messages", None),
    ("POST", "/v1/responses", {"input": "hello", "previous_response_id": "{response_id}"}),
    ("GET", "/v1/responses/{response_id}?stream=true", None),
]


@pytest.fixture(scope="module")
async def theirs(offline_app: RunningApp) -> dict[str, str]:
    person, ids = await owned(offline_app)
    return ids | {"user_id": person.user_id}


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: f"{asked[0]} {asked[1]}")
async def test_a_foreign_id_in_a_body_or_a_query_is_answered_as_an_unknown_one(
    client: httpx.AsyncClient, superuser: AsyncEngine, theirs: dict[str, str], asked: Asked
) -> None:
    stranger, method, path, body = Person(), *asked
    before = await kept_of(superuser, Person(theirs["user_id"]))
    answers = []
    unknown = {name: unlike(id_) for name, id_ in theirs.items()}
    for ids in (theirs, unknown):
        answer = await client.request(
            method,
            with_ids(path.replace("ME", stranger.user_id), ids),
            content=with_ids(json.dumps(body), ids) if body else None,
            headers=stranger.headers | {"Content-Type": "application/json"},
        )
        assert PRIVATE not in answer.text
        told = without(answer.text, *ids.values(), answer.headers.get("x-request-id", ""))
        answers.append((answer.status_code, told))
    assert answers[0] == answers[1]
    assert await kept_of(superuser, Person(theirs["user_id"])) == before


def unlike(id_: str) -> str:
    """An id of the same shape, of nothing."""
    if id_.startswith("resp_"):
        return f"resp_{new_id().hex}"
    return str(new_id()) if "-" in id_ else str(int(id_) + 1000) if id_.isdigit() else id_


def with_ids(text: str, ids: dict[str, str]) -> str:
    for name, id_ in ids.items():
        text = text.replace(f"{{{name}}}", id_)
    return text


def without(text: str, *ids: str) -> str:
    """A text without ids, which are the one thing that may differ."""
    for id_ in ids:
        # A task's is a number, which is part of others.
        text = text.replace(id_, "") if len(id_) > 8 else text
    return text


@pytest.mark.parametrize("protocol", ["ui", "ag-ui", "responses", "completions"])
async def test_a_foreign_conversation_by_its_id_is_a_name_of_ones_own_to_other_protocols(
    client: httpx.AsyncClient, superuser: AsyncEngine, theirs: dict[str, str], protocol: str
) -> None:
    stranger, name = Person(), theirs["conversation_id"]
    before = await kept_of(superuser, Person(theirs["user_id"]))
    said = {"id": "1", "role": "user", "parts": [{"type": "text", "text": "hello"}]}
    path, body = {
        "ui": (f"/api/{stranger.user_id}/ui/chat", {"id": name, "message": said}),
        "ag-ui": (
            f"/api/{stranger.user_id}/ag-ui",
            {
                "threadId": name,
                "runId": "r",
                "messages": [{"id": "1", "role": "user", "content": "hello"}],
            },
        ),
        "responses": ("/v1/responses", {"input": "hello", "conversation": name}),
        "completions": (
            "/v1/chat/completions",
            {
                "model": "taskchat",
                "messages": [{"role": "user", "content": "hello"}],
                "metadata": {"conversation_id": name},
            },
        ),
    }[protocol]
    answer = await client.post(path, json=body, headers=stranger.headers)
    assert PRIVATE not in answer.text
    assert await kept_of(superuser, Person(theirs["user_id"])) == before
    for conversation, *_ in await conversations_of(superuser, stranger):
        assert conversation != name


async def conversations_of(superuser: AsyncEngine, person: Person) -> list[tuple[str, ...]]:
    return [(json.loads(row)["id"],) for row in (await kept_of(superuser, person))["conversations"]]


async def test_a_tool_that_an_mcp_client_calls_knows_its_callers_tasks_alone(
    client: httpx.AsyncClient, superuser: AsyncEngine, theirs: dict[str, str]
) -> None:
    stranger = Person()
    before = await kept_of(superuser, Person(theirs["user_id"]))
    task = int(theirs["task_id"])
    for name, arguments in (
        ("complete_task", {"task_id": task}),
        ("delete_task", {"task_id": task}),
        ("update_task", {"task_id": task, "title": "mine"}),
        ("list_tasks", {"user_id": theirs["user_id"]}),
        ("add_task", {"title": "mine", "user_id": theirs["user_id"]}),
        ("complete_task", {"task_id": task, "user_id": theirs["user_id"]}),
    ):
        answer = await call(client, stranger, name, arguments)
        assert PRIVATE not in answer.text
        assert answer.json()["result"]["isError"], (name, answer.text)
    assert await kept_of(superuser, Person(theirs["user_id"])) == before


@pytest.fixture(scope="module")
async def url(offline_app: RunningApp) -> AsyncIterator[str]:
    async with in_a_task_of_its_own(served(offline_app)) as address:
        yield address


async def test_a_socket_hears_nothing_of_another_users_turns(
    url: str, superuser: AsyncEngine, theirs: dict[str, str]
) -> None:
    stranger = Person()
    before = await kept_of(superuser, Person(theirs["user_id"]))
    told: list[str] = []
    async with socket(url, stranger, theirs["conversation_id"]) as one:
        code, reason = await one.closed()
    assert code == 4004
    async with socket(url, stranger, str(new_id())) as one:
        assert (code, reason) == await one.closed()
    for ids in (theirs, {name: unlike(id_) for name, id_ in theirs.items()}):
        async with socket(url, stranger) as one:
            await one.next()
            frames = []
            for type_, fields in (
                ("resume", {"turn_id": ids["turn_id"], "after_seq": 0}),
                ("cancel", {"turn_id": ids["turn_id"]}),
                ("feedback_response", {"feedback_id": ids["feedback_id"], "answer": "approve"}),
            ):
                await one.send(type_, **fields)
                frames.append(await one.next())
            assert {frame["type"] for frame in frames} == {"error"}, frames
            for frame in frames:
                frame["request_id"] = ""
            told.append(without(json.dumps(frames), *ids.values()))
    assert told[0] == told[1]
    assert PRIVATE not in told[0]
    assert await kept_of(superuser, Person(theirs["user_id"])) == before

"""Nobody reaches another user's data: every route, tried with every id of somebody else's."""

import re
from typing import Any

import httpx
import pytest
from tests.conftest import RunningApp
from tests.factories import Person

PUBLIC = {
    "/livez",
    "/readyz",
    "/metrics",
    "/share/{token}",
    "/.well-known/jwks.json",
    "/.well-known/oauth-protected-resource",
    "/.well-known/oauth-protected-resource/mcp",
    "/api/auth/register",
    "/api/auth/login",
    "/api/auth/refresh",
}


def operations(running: RunningApp) -> list[tuple[str, str]]:
    return [
        (method.upper(), path)
        for path, methods in running.app.openapi()["paths"].items()
        for method in methods
        if path not in PUBLIC
    ]


async def owned(running: RunningApp, person: Person | None = None) -> tuple[Person, dict[str, str]]:
    """A person with something of everything, and the ids of it."""
    person = person or Person()
    body = (await person.say(running.client, "Add task: The secret plan")).json()
    conversation = body["conversation_id"]
    share = await running.client.post(
        f"/api/{person.user_id}/conversations/{conversation}/shares",
        json={},
        headers=person.headers,
    )
    webhook = await running.client.post(
        f"/api/{person.user_id}/webhooks",
        json={"url": "https://hooks.example.org/"},
        headers=person.headers,
    )
    webhook_id = webhook.json()["id"]
    await running.client.post(
        f"/api/{person.user_id}/tasks", json={"title": "Another"}, headers=person.headers
    )
    deliveries = await running.client.get(
        f"/api/{person.user_id}/webhooks/{webhook_id}/deliveries", headers=person.headers
    )
    # What waits here would be looked up by name.
    await running.client.patch(
        f"/api/{person.user_id}/webhooks/{webhook_id}",
        json={"status": "paused"},
        headers=person.headers,
    )
    asked = await person.say(running.client, "Delete tasks 1 and 2")
    schedule = await running.client.post(
        f"/api/{person.user_id}/schedules",
        json={"message": "What of the secret plan?", "rule": "FREQ=DAILY"},
        headers=person.headers,
    )
    return person, {
        "webhook_id": webhook_id,
        "delivery_id": deliveries.json()["data"][0]["id"],
        "conversation_id": conversation,
        "share_id": share.json()["id"],
        "schedule_id": schedule.json()["id"],
        "turn_id": body["turn_id"],
        "message_id": body["messages"][0]["id"],
        "reply_id": body["messages"][-1]["id"],
        "task_id": str(body["tool_calls"][0]["result"]["task_id"]),
        "feedback_id": asked.json()["feedback"]["id"],
        "chat_id": conversation,
        "session_id": "0199f3a0-0000-7000-8000-000000000000",
        "response_id": f"resp_{body['turn_id'].replace('-', '')}",
        "model": "taskchat",
    }


def accepted(path: str) -> dict[str, str]:
    """What a route answers with."""
    return {"Accept": "text/event-stream"} if path.endswith("/events") else {}


def filled(path: str, user_id: str, ids: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda m: {"user_id": user_id, **ids}[m[1]], path)


BODIES: dict[str, dict[str, Any]] = {
    "/api/{user_id}/ui/chat": {
        "id": "a chat",
        "message": {"id": "1", "role": "user", "parts": [{"type": "text", "text": "hello"}]},
    },
    "/api/{user_id}/chat": {"message": "hello"},
    "/api/{user_id}/ag-ui": {"threadId": "t", "runId": "r", "messages": []},
    "/api/{user_id}/feedback/{feedback_id}/respond": {"answer": "approve"},
    "/api/{user_id}/messages/{message_id}": {"message": "hello"},
    "/api/{user_id}/messages/{message_id}/rating": {"value": "up"},
    "/api/{user_id}/turns/{turn_id}/messages": {"message": "hello"},
    "/api/{user_id}/tasks": {"title": "mine"},
    "/api/{user_id}/tasks/{task_id}": {"completed": True},
    "/api/{user_id}/conversations/{conversation_id}": {"title": "mine", "status": "ended"},
    "/api/{user_id}/conversations/{conversation_id}/shares": {"with_tool_calls": True},
    "/api/{user_id}/webhooks": {"url": "https://hooks.example.org/"},
    "/api/{user_id}/webhooks/{webhook_id}": {"url": "https://hooks.example.org/"},
    "/api/{user_id}/schedules": {"message": "mine", "rule": "FREQ=DAILY"},
    "/api/{user_id}/schedules/{schedule_id}": {"message": "mine"},
}


NOTHING_RUNS = {"/api/{user_id}/ui/chat/{chat_id}/stream"}
"""What the AI SDK has answered with 204 if there is nothing, be it there or not."""


def code_of(answer: httpx.Response) -> str:
    """The code of an error, in the form of its address."""
    body = answer.json()
    return str(body["error"]["code"] if "/v1/" in str(answer.url) else body["error_code"])


async def test_there_are_routes_to_try(offline_app: RunningApp) -> None:
    assert len(operations(offline_app)) >= 10


async def test_no_route_answers_without_a_token(offline_app: RunningApp) -> None:
    person, ids = await owned(offline_app)
    for method, path in operations(offline_app):
        answer = await offline_app.client.request(
            method,
            filled(path, person.user_id, ids),
            json=BODIES.get(path),
            headers=accepted(path),
        )
        assert (answer.status_code, code_of(answer)) == (401, "invalid_auth"), path
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_no_route_answers_under_another_users_path(offline_app: RunningApp) -> None:
    person, ids = await owned(offline_app)
    stranger = Person()
    for method, path in operations(offline_app):
        # Where the path names nobody, the token alone says who acts: tests/mcp_http and
        # tests/openai_http try that as another user.
        if "{user_id}" not in path:
            continue
        answers = [
            await offline_app.client.request(
                method,
                filled(path, user_id, ids),
                json=BODIES.get(path),
                headers=stranger.headers | accepted(path),
            )
            for user_id in (person.user_id, "nobody-of-that-name")
        ]
        for answer in answers:
            assert (answer.status_code, answer.json()["error_code"]) == (403, "forbidden"), path
        one, other = (
            {name: value for name, value in answer.json().items() if name != "request_id"}
            for answer in answers
        )
        assert one == other, path


async def test_no_route_reaches_another_users_objects_by_id(offline_app: RunningApp) -> None:
    person, ids = await owned(offline_app)
    stranger = Person()
    tried = 0
    for method, path in operations(offline_app):
        # Routes of accounts are no stranger's; tests/accounts tries them as another account.
        if not re.search(r"\{(?!user_id|model)\w+\}", path) or path.startswith("/api/auth/"):
            continue
        tried += 1
        answer = await offline_app.client.request(
            method,
            filled(path, stranger.user_id, ids),
            json=BODIES.get(path),
            headers=stranger.headers | accepted(path),
        )
        if path in NOTHING_RUNS:
            assert (answer.status_code, answer.content) == (204, b""), path
            continue
        assert (answer.status_code, code_of(answer)) == (404, "not_found"), path
        assert "secret plan" not in answer.text
    assert tried >= 10
    task = await offline_app.client.get(
        f"/api/{person.user_id}/tasks/{ids['task_id']}", headers=person.headers
    )
    assert task.json()["completed"] is False
    kept = await offline_app.client.get(
        f"/api/{person.user_id}/conversations/{ids['conversation_id']}", headers=person.headers
    )
    assert (kept.json()["title"], kept.json()["status"]) == ("Add task: The secret plan", "active")
    links = await offline_app.client.get(
        f"/api/{person.user_id}/conversations/{ids['conversation_id']}/shares",
        headers=person.headers,
    )
    assert [link["id"] for link in links.json()["data"]] == [ids["share_id"]]


async def test_a_foreign_and_an_unknown_conversation_are_told_apart_by_nothing(
    offline_app: RunningApp,
) -> None:
    _, ids = await owned(offline_app)
    stranger = Person()
    unknown = "0199f3a0-0000-7000-8000-000000000000"
    bodies = []
    for conversation in (ids["conversation_id"], unknown):
        answer = await stranger.say(
            offline_app.client, "What is in here?", conversation_id=conversation
        )
        assert answer.status_code == 404
        body = answer.json()
        body.pop("request_id")
        bodies.append(str(body).replace(conversation, "ID"))
    assert bodies[0] == bodies[1]


@pytest.mark.parametrize("listing", ["tasks", "conversations"])
async def test_lists_hold_ones_own_only(offline_app: RunningApp, listing: str) -> None:
    await owned(offline_app)
    stranger = Person()
    page = (
        await offline_app.client.get(f"/api/{stranger.user_id}/{listing}", headers=stranger.headers)
    ).json()
    assert page == {"data": [], "has_more": False, "next_cursor": None}


async def test_usage_and_cost_are_told_of_oneself_only(offline_app: RunningApp) -> None:
    person, _ = await owned(offline_app)
    stranger = Person()
    found = {
        one.user_id: (
            await offline_app.client.get(f"/api/{one.user_id}/usage", headers=one.headers)
        ).json()
        for one in (person, stranger)
    }
    assert found[person.user_id]["total"]["model_calls"] == 2
    assert found[stranger.user_id]["data"] == []
    assert found[stranger.user_id]["total"]["model_calls"] == 0


async def test_the_same_key_of_two_users_is_two_turns(offline_app: RunningApp) -> None:
    one, other = Person(), Person()
    first = await one.say(offline_app.client, "Add task: A", key="same")
    second = await other.say(offline_app.client, "Add task: B", key="same")
    assert first.status_code == second.status_code == 200
    assert first.json()["turn_id"] != second.json()["turn_id"]

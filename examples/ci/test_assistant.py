"""Tests of something that is built on taskchat: each states what the model says."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from taskchat_pytest import TaskchatServer, TaskchatUser


@pytest.fixture
def api(taskchat_server: TaskchatServer, taskchat_user: TaskchatUser) -> Iterator[httpx.Client]:
    """What a front end has: the address of a user, and their token."""
    address = f"{taskchat_server.url}/api/{taskchat_user.id}"
    with httpx.Client(base_url=address, headers=taskchat_user.headers, timeout=30) as client:
        yield client


def say(api: httpx.Client, message: str, script: dict[str, str], **body: Any) -> httpx.Response:
    """Send a message, and with it what the model is to say."""
    return api.post("/chat", json={"message": message, **body}, headers=script)


def test_what_the_model_calls_is_done(api: httpx.Client, taskchat_server: TaskchatServer) -> None:
    adds = {"call": {"tool": "add_task", "arguments": {"title": "Milk"}}}
    script = taskchat_server.script([adds, {"say": "Milk it is."}], "Nothing else.")
    first = say(api, "I am out of milk", script).json()
    then = say(api, "Else?", script, conversation_id=first["conversation_id"]).json()
    assert (first["response"], then["response"]) == ("Milk it is.", "Nothing else.")
    assert [task["title"] for task in api.get("/tasks").json()["data"]] == ["Milk"]


def test_a_model_that_fails_is_told_of(api: httpx.Client, taskchat_server: TaskchatServer) -> None:
    answer = say(api, "Hello", taskchat_server.script([{"fail": 400}]))
    assert (answer.status_code, answer.json()["error_code"]) == (502, "model_error")


def test_the_model_is_given_what_was_said_before(
    api: httpx.Client, taskchat_server: TaskchatServer
) -> None:
    expects = {"expect": {"history": "My name is Ada"}, "say": "Ada."}
    script = taskchat_server.script("Nice to meet you.", [expects])
    first = say(api, "My name is Ada", script).json()
    then = say(api, "Who am I?", script, conversation_id=first["conversation_id"])
    assert then.json()["response"] == "Ada."


def test_tasks_are_their_users_alone(api: httpx.Client, taskchat_server: TaskchatServer) -> None:
    say(api, "Add task: Secret", taskchat_server.script([{"say": "Done."}], fallback="offline"))
    stranger = taskchat_server.new_user()
    assert api.get("/tasks", headers=stranger.headers).status_code == 403

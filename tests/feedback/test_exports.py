"""What the agent has asked is part of an export, and comes back as what is over."""

from typing import Any

from tests.conftest import AppMaker, RunningApp
from tests.factories import Person
from tests.feedback.test_approvals import Deleting, asked, ended, respond, with_tasks
from tests.portability.data import exported, imported


async def listed(running: RunningApp, person: Person) -> list[dict[str, Any]]:
    answer = await running.client.get(f"/api/{person.user_id}/feedback", headers=person.headers)
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


async def test_what_was_asked_comes_back_with_its_answer_and_as_over(running_app: AppMaker) -> None:
    async with running_app(chain=Deleting(1, 2).chain) as running:
        person = await with_tasks(running, "Milk", "Eggs", "Bread")
        request = await asked(running, person)
        second = request["calls"][1]["tool_call_id"]
        edited = {second: {"arguments": {"task_id": 3}}}
        await respond(
            running, person, request["id"], answer="approve", comment="But *bread*.", calls=edited
        )
        await ended(running, person, request["turn_id"])
        await asked(running, person)
        before = await listed(running, person)
        assert [one["status"] for one in before] == ["open", "approved"]
        lines = await exported(running.client, person)
        turns = [line for line in lines if line["type"] == "turn"]
        assert [len(turn["feedback"]) for turn in turns] == [1, 1]
        shown = await running.client.get(
            f"/api/{person.user_id}/export", params={"format": "markdown"}, headers=person.headers
        )
        assert "May I do this? delete task 1 “Milk”" in shown.text
        assert "> But *bread*." in shown.text

        await running.client.delete(f"/api/{person.user_id}", headers=person.headers)
        report = await imported(running.client, person, lines)
        assert report["turns"]["added"] == 2, report
        after = await listed(running, person)
        assert [one["status"] for one in after] == ["withdrawn", "approved"]
        kept = ("kind", "question", "answer", "comment", "channel", "asked_at", "expires_at")
        assert [[one[name] for name in kept] for one in after] == [
            [one[name] for name in kept] for one in before
        ]
        turn = await ended(running, person, after[1]["turn_id"])
        assert turn["feedback"] == [after[1]]
        assert [call["tool_call_id"] for call in after[1]["calls"]] == [
            call["id"] for call in turn["tool_calls"]
        ]
        assert after[1]["calls"][1]["edited_arguments"] == {"task_id": 3}
        late = await respond(running, person, after[0]["id"], answer="approve")
        assert (late.status_code, late.json()["error_code"]) == (409, "feedback_closed")
        again = await imported(running.client, person, lines)
        assert again["turns"]["added"] == 0
        assert await listed(running, person) == after

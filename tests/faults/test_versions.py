"""Branches over processes that die: each history that a model reads is one branch, and valid."""

from typing import Any

import httpx
import pytest
from tests.faults.model_server import Gate
from tests.faults.processes import Service
from tests.faults.scripts import role_of, text_of, title
from tests.faults.stage import Stage


async def put(
    stage: Stage, service: Service, message_id: str, message: str, *, key: str
) -> httpx.Response:
    return await stage.client(service).put(
        f"/api/{stage.person.user_id}/messages/{message_id}",
        json={"message": message},
        headers=stage.person.headers | {"Idempotency-Key": key},
    )


async def regenerate(
    stage: Stage, service: Service, message_id: str, *, key: str
) -> httpx.Response:
    return await stage.client(service).post(
        f"/api/{stage.person.user_id}/messages/{message_id}/regenerate",
        headers=stage.person.headers | {"Idempotency-Key": key},
    )


def said_to(stage: Stage, id_: str, number: int) -> list[str]:
    """The user's messages in the input of the n-th request for a message; its own is the last."""
    call = stage.model.asked(id_)[number]
    assert not call.problems
    return [text_of(item) for item in stage.model.input_of(call) if role_of(item) == "user"]


async def test_a_branch_made_while_a_turn_runs_elsewhere_waits_for_its_takeover(
    stage: Stage,
) -> None:
    first, runs, version, after = (stage.message_id() for _ in range(4))
    begun = await stage.post(stage.steady, f"[{first}] add:1", key=first)
    conversation = begun.json()["conversation_id"]
    said = begun.json()["messages"][0]["id"]
    victim, gate = await stage.victim(), Gate()
    stage.model.when(runs, 2, gate)
    lost = stage.posting(victim, f"[{runs}] add:1", key=runs, conversation_id=conversation)
    await gate.reached.wait()

    # The branch is made by one process while the turn runs on another one, which dies in between.
    edited = stage.spawn(put(stage, stage.steady, said, f"[{version}] add:1", key=version))
    await stage.begun(version)
    behind = stage.posting(stage.steady, f"[{after}] list", key=after, conversation_id=conversation)
    await stage.begun(after)
    victim.kill()
    gate.opened.set()
    with pytest.raises(httpx.TransportError):
        await lost
    answers = [await edited, await behind]
    assert [answer.status_code for answer in answers] == [200, 200], answers

    taken = await stage.ended(runs)
    assert (taken.turn["status"], taken.turn["deaths"]) == ("completed", 1)
    assert taken.call_ids == taken.decided_ids
    assert said_to(stage, runs, -1) == [f"[{first}] add:1", f"[{runs}] add:1"]
    assert said_to(stage, version, -1) == [f"[{version}] add:1"]
    assert said_to(stage, after, -1) == [f"[{version}] add:1", f"[{after}] list"]
    assert "2 messages and 1 replies seen" in answers[1].text
    assert await stage.titles() == [title(one, 1) for one in (first, runs, version)]
    assert answers[0].json()["version"]["changes_kept"] == 2


@pytest.mark.parametrize(
    "point", ["begin.committed", "tool.committed", "settle.before", "settle.committed"]
)
async def test_a_version_whose_process_dies_is_finished_on_its_own_branch(
    stage: Stage, point: str
) -> None:
    first, second, key = (stage.message_id() for _ in range(3))
    begun = await stage.post(stage.steady, f"[{first}] list", key=first)
    conversation = begun.json()["conversation_id"]
    other = await stage.post(
        stage.steady, f"[{second}] add:1", key=second, conversation_id=conversation
    )
    reply = other.json()["messages"][-1]["id"]
    victim = await stage.victim(point)
    with pytest.raises(httpx.TransportError):
        await regenerate(stage, victim, reply, key=key)
    assert await victim.exited() == -9

    answer = await regenerate(stage, stage.steady, reply, key=key)
    assert answer.status_code == 200, answer.text
    assert answer.headers["idempotent-replayed"] == "true"
    again = await regenerate(stage, stage.steady, reply, key=key)
    assert again.content == answer.content
    assert answer.json()["version"] == {
        "of": other.json()["turn_id"],
        "number": 2,
        "changes_kept": 1,
        "note": "Task changes of the turns that this branch leaves out were not undone: 1.",
    }
    shown: list[dict[str, Any]] = answer.json()["messages"]
    assert [message["content"] for message in shown[:3:2]] == [
        f"[{first}] list",
        f"[{second}] add:1",
    ]
    assert len(shown) == 4
    for number in range(2, len(stage.model.asked(second))):
        assert said_to(stage, second, number) == [f"[{first}] list", f"[{second}] add:1"]
    # Once for each version, and not once more for the process that died.
    assert await stage.titles() == [title(second, 1)] * 2

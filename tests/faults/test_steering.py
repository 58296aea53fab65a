"""What is said to a running turn is read once, whichever process runs it and whatever dies."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from tests.faults.cluster import query
from tests.faults.model_server import Failure, Gate, ModelCall
from tests.faults.processes import Service
from tests.faults.scripts import steered_in, title
from tests.faults.stage import Stage


async def steer(
    stage: Stage, service: Service, turn_id: Any, content: str, key: str | None = None
) -> httpx.Response:
    return await stage.client(service).post(
        f"/api/{stage.person.user_id}/turns/{turn_id}/messages",
        json={"message": content},
        headers=stage.person.headers | ({"Idempotency-Key": key} if key else {}),
    )


class Steers:
    """Has something said to a turn at the moment when its model is asked."""

    def __init__(self, stage: Stage, service: Service, id_: str, *messages: str) -> None:
        self._stage, self._service, self._id = stage, service, id_
        self._messages = messages
        self.answers: list[httpx.Response] = []

    async def __call__(self, _call: ModelCall) -> Failure | None:
        turn = (await self._stage.found(self._id)).turn["id"]
        for message in self._messages:
            self.answers.append(await steer(self._stage, self._service, turn, f"[{message}]"))
        return None


async def read_in(stage: Stage, id_: str) -> list[str]:
    """What the model's last input for a message holds of what was said to its turn."""
    return steered_in(stage.model.input_of(stage.model.asked(id_)[-1]))


async def check_told_once(stage: Stage, id_: str, *messages: str) -> None:
    """Check the turn's events: without gaps, and each of these is told as read once, in order."""
    turn = (await stage.found(id_)).turn["id"]
    events = await query(
        stage.url,
        "SELECT seq, type, data FROM turn_events WHERE user_id = $1 AND turn_id = $2 ORDER BY seq",
        stage.person.user_id,
        turn,
    )
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    told = [json.loads(one["data"]) for one in events if one["type"] == "user_message"]
    assert [one["content"] for one in told] == [f"[{message}]" for message in messages]


async def test_a_process_reads_what_another_one_has_stored(stage: Stage) -> None:
    id_, other = stage.message_id(), await stage.victim()
    steers = Steers(stage, stage.steady, id_, f"{id_}.a", f"{id_}.b")
    stage.model.when(id_, 1, steers)
    answer = await stage.post(other, f"[{id_}] add:1", key=id_)
    assert answer.status_code == 200, answer.text
    assert [one.json()["steered"] for one in steers.answers] == [True, True]
    assert await read_in(stage, id_) == [f"{id_}.a", f"{id_}.b"]
    assert answer.json()["response"].endswith(f" Heard {id_}.a {id_}.b.")
    await check_told_once(stage, id_, f"{id_}.a", f"{id_}.b")


async def test_what_a_dead_process_has_not_read_is_read_by_the_next_one(stage: Stage) -> None:
    id_, victim, gate = stage.message_id(), await stage.victim(), Gate()
    stage.model.when(id_, 1, gate)
    stage.posting(victim, f"[{id_}] add:1", key=id_)
    await gate.reached.wait()
    turn = (await stage.found(id_)).turn["id"]
    said = await steer(stage, stage.steady, turn, f"[{id_}.a]", key=f"{id_}.a")
    assert (said.status_code, said.json()["steered"]) == (200, True)
    victim.kill()
    await victim.exited()
    gate.opened.set()
    ended = await stage.ended(id_)
    assert (ended.turn["status"], ended.turn["attempt"]) == ("completed", 2)
    assert await read_in(stage, id_) == [f"{id_}.a"]
    assert ended.said[1] == f"[{id_}.a]"
    assert ended.titles == [title(id_, 1)]
    await check_told_once(stage, id_, f"{id_}.a")
    again = await steer(stage, stage.steady, turn, f"[{id_}.a]", key=f"{id_}.a")
    assert again.json() == said.json()


@pytest.mark.parametrize(
    ("script", "point", "at"),
    [
        ("", "steering.read", 1),
        ("", "settle.before", 1),
        ("", "settle.under_way", 1),
        # Once its first reply was refused.
        ("", "settle.under_way", 2),
        ("add:2", "steering.read", 1),
        ("add:2", "settle.before", 1),
        ("add:2", "settle.under_way", 1),
    ],
)
async def test_a_death_around_the_reading_reads_nothing_twice(
    stage: Stage, point: str, at: int, script: str
) -> None:
    id_ = stage.message_id()
    victim = await stage.victim(point, FAULT_PASS=str(at))
    stage.model.when(id_, 1, Steers(stage, victim, id_, f"{id_}.a"))
    stage.posting(victim, f"[{id_}] {script}".strip(), key=id_)
    assert await victim.exited() == -9
    ended = await stage.ended(id_)
    assert ended.turn["status"] == "completed"
    assert await read_in(stage, id_) == [f"{id_}.a"]
    assert ended.said[-1].endswith(f" Heard {id_}.a.")
    assert ended.call_ids == ended.decided_ids
    assert not any(call.problems for call in stage.model.asked(id_))
    await check_told_once(stage, id_, f"{id_}.a")


async def test_of_many_at_once_over_two_processes_each_is_read_once(stage: Stage) -> None:
    id_, victim, gate = stage.message_id(), await stage.victim(), Gate()
    stage.model.when(id_, 1, gate)
    stage.posting(victim, f"[{id_}] add:1", key=id_)
    await gate.reached.wait()
    turn = (await stage.found(id_)).turn["id"]
    wanted = [f"{id_}.{number}" for number in range(12)]
    said = await asyncio.gather(
        *(
            steer(stage, service, turn, f"[{message}]", key=message)
            for message in wanted
            for service in (stage.steady, victim)
        )
    )
    assert {answer.json()["steered"] for answer in said} == {True}
    assert len({answer.json()["message_id"] for answer in said}) == len(wanted)
    gate.opened.set()
    ended = await stage.ended(id_)
    read = await read_in(stage, id_)
    assert sorted(read) == sorted(wanted)
    # In the order in which they stand.
    assert [f"[{one}]" for one in read] == ended.said[1:-1]


async def test_the_next_turn_is_told_what_a_turn_has_read(stage: Stage) -> None:
    first, second = stage.message_id(), stage.message_id()
    stage.model.when(first, 1, Steers(stage, stage.steady, first, f"{first}.a"))
    answer = await stage.post(stage.steady, f"[{first}] add:1", key=first)
    await stage.post(
        stage.steady,
        f"[{second}]",
        key=second,
        conversation_id=answer.json()["conversation_id"],
    )
    texts = [
        item.get("content")
        for item in stage.model.input_of(stage.model.asked(second)[-1])
        if item.get("role") == "user"
    ]
    assert texts == [f"[{first}] add:1", f"[{first}.a]", f"[{second}]"]


async def test_what_is_said_to_a_turn_that_waits_for_its_user_is_read_after_the_answer(
    stage: Stage,
) -> None:
    id_ = stage.message_id()
    asked = await stage.post(stage.steady, f"[{id_}] add:3 delete:2", key=id_)
    assert asked.status_code == 202, asked.text
    said = await steer(stage, stage.steady, asked.json()["turn_id"], f"[{id_}.a]")
    assert said.json()["steered"] is True
    await stage.client(stage.steady).post(
        f"/api/{stage.person.user_id}/feedback/{asked.json()['feedback']['id']}/respond",
        json={"answer": "approve"},
        headers=stage.person.headers,
    )
    ended = await stage.ended(id_)
    assert ended.turn["status"] == "completed"
    assert ended.said[-1].endswith(f" Heard {id_}.a.")
    assert await read_in(stage, id_) == [f"{id_}.a"]

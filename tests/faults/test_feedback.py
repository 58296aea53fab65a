"""What the agent asks outlives the process that asked, and is answered on any other."""

import asyncio
from typing import Any

import httpx
import pytest
from tests.faults.cluster import query
from tests.faults.processes import Service
from tests.faults.scripts import title
from tests.faults.stage import Stage


async def respond(stage: Stage, service: Service, feedback: str, **body: Any) -> httpx.Response:
    return await stage.client(service).post(
        f"/api/{stage.person.user_id}/feedback/{feedback}/respond",
        json=body,
        headers=stage.person.headers,
    )


async def asked(stage: Stage, service: Service, id_: str) -> dict[str, Any]:
    answer = await stage.post(service, f"[{id_}] add:3 delete:2", key=id_)
    assert answer.status_code == 202, answer.text
    request: dict[str, Any] = answer.json()["feedback"]
    assert [call["subject"] for call in request["calls"]] == [title(id_, 1), title(id_, 2)]
    return request


async def test_what_one_process_asks_is_answered_on_another_after_a_restart_of_both(
    stage: Stage,
) -> None:
    id_, asking = stage.message_id(), await stage.victim()
    request = await asked(stage, asking, id_)
    asking.terminate()
    await asking.exited()
    other = await stage.victim()
    # It waits while neither process is there: nobody owns it.
    row = (await stage.found(id_)).turn
    assert (row["status"], row["owner"], row["deaths"]) == ("awaiting_feedback", None, 0)
    done = await respond(stage, other, request["id"], answer="approve")
    assert done.status_code == 200, done.text
    ended = await stage.ended(id_)
    assert (ended.turn["status"], ended.turn["deaths"]) == ("completed", 0)
    assert ended.call_ids == ended.decided_ids
    assert ended.titles == [title(id_, 3)]
    # Asked for adding, for deleting, and for the reply: never twice for the same.
    assert len(stage.model.asked(id_)) == 3
    assert not any(call.problems for call in stage.model.asked(id_))
    answer = await stage.post(stage.steady, f"[{id_}] add:3 delete:2", key=id_)
    assert answer.status_code == 200


@pytest.mark.parametrize("point", ["tool.before", "tool.committed", "settle.before"])
async def test_a_process_that_dies_after_the_answer_leaves_nothing_undone_or_done_twice(
    stage: Stage, point: str
) -> None:
    id_ = stage.message_id()
    request = await asked(stage, stage.steady, id_)
    victim = await stage.victim(point)
    await respond(stage, victim, request["id"], answer="approve")
    assert await victim.exited() == -9
    ended = await stage.ended(id_)
    assert (ended.turn["status"], ended.turn["deaths"]) == ("completed", 1)
    assert ended.call_ids == ended.decided_ids
    assert [call["status"] for call in ended.calls] == ["completed"] * 5
    assert ended.titles == [title(id_, 3)]
    late = await respond(stage, stage.steady, request["id"], answer="reject")
    assert (late.status_code, late.json()["error_code"]) == (409, "feedback_closed")


async def test_of_answers_on_two_processes_at_once_one_counts(stage: Stage) -> None:
    id_, other = stage.message_id(), await stage.victim()
    request = await asked(stage, stage.steady, id_)
    answers = await asyncio.gather(
        *(
            respond(stage, service, request["id"], answer=answer)
            for service in (stage.steady, other)
            for answer in ("approve", "reject") * 3
        )
    )
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] + [409] * 11
    [won] = [answer for answer in answers if answer.status_code == 200]
    ended = await stage.ended(id_)
    approved = won.json()["status"] == "approved"
    assert ended.titles == [title(id_, place) for place in ((3,) if approved else (1, 2, 3))]
    assert ended.turn["deaths"] == 0


async def test_a_stop_while_it_waits_keeps_what_was_done_and_tells_what_was_not(
    stage: Stage,
) -> None:
    id_, after, other = stage.message_id(), stage.message_id(), await stage.victim()
    request = await asked(stage, stage.steady, id_)
    done = await stage.client(other).post(
        f"/api/{stage.person.user_id}/turns/{request['turn_id']}/cancel",
        headers=stage.person.headers,
    )
    assert (done.status_code, done.json()["status"]) == (200, "cancelled")
    stored = await stage.found(id_)
    assert [call["status"] for call in stored.calls] == ["completed"] * 3 + ["interrupted"] * 2
    assert stored.titles == [title(id_, place) for place in (1, 2, 3)]
    next_ = await stage.post(
        stage.steady, f"[{after}] list", conversation_id=request["conversation_id"]
    )
    assert next_.status_code == 200
    assert not any(call.problems for call in stage.model.asked(after))


async def test_a_message_to_another_process_withdraws_what_is_asked(stage: Stage) -> None:
    id_, after, other = stage.message_id(), stage.message_id(), await stage.victim()
    request = await asked(stage, stage.steady, id_)
    next_ = await stage.post(
        other, f"[{after}] list", key=after, conversation_id=request["conversation_id"]
    )
    assert next_.status_code == 200, next_.text
    assert (await stage.found(id_)).turn["status"] == "cancelled"
    [row] = await query(
        stage.url, "SELECT status FROM feedback_requests WHERE id::text = $1", request["id"]
    )
    assert row["status"] == "withdrawn"


async def test_what_is_withdrawn_by_a_message_whose_process_died_is_withdrawn_by_a_sweep(
    stage: Stage,
) -> None:
    id_, after = stage.message_id(), stage.message_id()
    request = await asked(stage, stage.steady, id_)
    victim = await stage.victim("begin.committed")
    with pytest.raises(httpx.TransportError):
        await stage.post(
            victim, f"[{after}] list", key=after, conversation_id=request["conversation_id"]
        )
    assert await victim.exited() == -9
    ended = await stage.ended(after, within_s=30)
    assert ended.turn["status"] == "completed"
    assert (await stage.found(id_)).turn["status"] == "cancelled"

"""Each point at which a turn can be interrupted: a real process is struck there, another goes on.

The service is the real `taskchat serve` on a real Postgres; the model is a server of the tests that
is as strict about its input as a provider. Every test asks the same of the end: one turn, each
effect once, one reply, and the same bytes to whoever asks again.
"""

import asyncio
from typing import Any

import httpx
import pytest
from tests.faults.cluster import query
from tests.faults.model_server import Failure, Gate, ModelCall
from tests.faults.proxy import Proxy
from tests.faults.scripts import role_of, text_of, title
from tests.faults.stage import SHORT_TIMES, Stage
from tests.faults.waiting import until


def replayed(answer: httpx.Response) -> bool:
    return bool(answer.headers.get("Idempotent-Replayed") == "true")


async def struck(stage: Stage, point: str, message: str, **options: Any) -> None:
    """POST to a process that dies of it."""
    victim = await stage.victim(point)
    with pytest.raises(httpx.TransportError):
        await stage.post(victim, message, **options)
    assert await victim.exited() == -9


async def same_everywhere(stage: Stage, message: str, key: str) -> httpx.Response:
    """The finished turn's answer, twice; with nothing done twice."""
    before = await stage.found(key)
    asked = len(stage.model.calls)
    first = await stage.post(stage.steady, message, key=key)
    second = await stage.post(stage.steady, message, key=key)
    assert first.content == second.content
    assert first.status_code == second.status_code
    assert replayed(first)
    assert replayed(second)
    short = await stage.post(stage.steady, message, key=key, params={"messages": "turn"})
    assert short.content.decode() == before.turn["result"]
    assert len(stage.model.calls) == asked
    assert await stage.found(key) == before
    await assert_counted_once(stage)
    return first


async def assert_counted_once(stage: Stage) -> None:
    """What the turns of the user cost stands in their days: all of it, and once."""
    [row] = await query(
        stage.url,
        "SELECT t.* = d.* AS same, t, d FROM (SELECT sum(model_calls)::bigint, sum(input_tokens),"
        " sum(output_tokens) FROM turns WHERE user_id = $1) AS t,"
        " (SELECT sum(model_calls)::bigint, sum(input_tokens)::bigint, sum(output_tokens)::bigint"
        " FROM usage_days WHERE user_id = $1) AS d",
        stage.person.user_id,
    )
    assert row["same"], dict(row)


def callers(stage: Stage, message_id: str) -> list[str]:
    """Who asked the model about a message, in order."""
    return [call.caller for call in stage.model.asked(message_id)]


def assert_sound(stage: Stage, message_id: str) -> None:
    assert [call.problems for call in stage.model.asked(message_id) if call.problems] == []


# --- 1 ---


async def test_a_process_that_dies_before_it_begins_leaves_nothing_and_the_key_is_new(
    stage: Stage,
) -> None:
    id_ = stage.message_id()
    await struck(stage, "begin.before", f"[{id_}] add:1", key=id_)
    assert await stage.stored(id_) is None
    answer = await stage.post(stage.steady, f"[{id_}] add:1", key=id_)
    assert answer.status_code == 200, answer.text
    assert not replayed(answer)
    stored = await stage.found(id_)
    assert (stored.turn["attempt"], stored.turn["deaths"]) == (1, 0)
    assert stored.titles == [title(id_, 1)]


# --- 2 ---


async def test_a_committed_message_whose_answer_was_lost_is_answered_after_takeover(
    stage: Stage,
) -> None:
    id_ = stage.message_id()
    await struck(stage, "begin.committed", f"[{id_}] add:1", key=id_)
    died = await stage.found(id_)
    assert (died.turn["status"], died.said, died.calls) == ("running", [f"[{id_}] add:1"], [])
    answer = await stage.post(stage.steady, f"[{id_}] add:1", key=id_)
    assert answer.status_code == 200, answer.text
    assert replayed(answer)
    assert callers(stage, id_) == ["steady", "steady"]
    stored = await stage.found(id_)
    assert (stored.turn["attempt"], stored.turn["deaths"]) == (2, 1)
    assert stored.titles == [title(id_, 1)]


async def test_a_queued_message_is_answered_in_its_turn_after_its_process_died(
    stage: Stage,
) -> None:
    first, second = stage.message_id(), stage.message_id()
    gate = Gate()
    stage.model.when(first, 1, gate)
    running = stage.posting(stage.steady, f"[{first}] add:1", key=first)
    await gate.reached.wait()
    conversation = (await stage.found(first)).turn["conversation_id"]
    await struck(
        stage, "begin.committed", f"[{second}] list", key=second, conversation_id=str(conversation)
    )
    assert (await stage.found(second)).turn["status"] == "queued"
    waiting = stage.posting(
        stage.steady, f"[{second}] list", key=second, conversation_id=str(conversation)
    )
    gate.opened.set()
    assert (await running).status_code == 200
    answer = await waiting
    assert answer.status_code == 200, answer.text
    assert f"2 messages and 1 replies seen, the last one before was {first}" in answer.text
    stored = await stage.found(second)
    assert (stored.turn["number"], stored.turn["deaths"]) == (2, 0)


# --- 3, 4 ---


async def test_a_process_that_dies_in_a_model_call_has_the_model_asked_again(stage: Stage) -> None:
    id_ = stage.message_id()
    victim = await stage.victim()

    async def kill(_call: ModelCall) -> None:
        victim.kill()

    stage.model.when(id_, 1, kill)
    with pytest.raises(httpx.TransportError):
        await stage.post(victim, f"[{id_}] add:1", key=id_)
    died = await stage.found(id_)
    assert (died.said, died.calls, died.answers) == ([f"[{id_}] add:1"], [], [])
    answer = await stage.post(stage.steady, f"[{id_}] add:1", key=id_)
    assert answer.status_code == 200, answer.text
    assert callers(stage, id_) == [victim.name, "steady", "steady"]
    assert (await stage.found(id_)).titles == [title(id_, 1)]


async def test_an_answer_of_which_no_tool_ran_is_forgotten_and_asked_for_again(
    stage: Stage,
) -> None:
    id_ = stage.message_id()
    await struck(stage, "model.answered", f"[{id_}] add:2", key=id_)
    died = await stage.found(id_)
    assert (died.calls, died.answers, died.titles) == ([], [], [])
    stored = await stage.ended(id_)
    assert callers(stage, id_)[1:] == ["steady", "steady"]
    assert stored.call_ids == stored.decided_ids
    assert stored.titles == [title(id_, 1), title(id_, 2)]


# --- 5, 6, 7 ---


async def test_a_process_that_dies_before_a_tool_call_leaves_neither_effect_nor_record(
    stage: Stage,
) -> None:
    id_ = stage.message_id()
    await struck(stage, "tool.before", f"[{id_}] add:1", key=id_)
    died = await stage.found(id_)
    assert (died.calls, died.answers, died.titles) == ([], [], [])
    answer = await stage.post(stage.steady, f"[{id_}] add:1", key=id_)
    assert answer.status_code == 200, answer.text
    stored = await stage.found(id_)
    assert stored.titles == [title(id_, 1)]
    assert len(stored.calls) == 1


@pytest.mark.parametrize("point", ["begin.under_way", "tool.under_way", "settle.under_way"])
async def test_what_is_under_way_when_its_process_dies_is_done_whole_or_not_at_all(
    stage: Stage, point: str
) -> None:
    id_ = stage.message_id()
    await struck(stage, point, f"[{id_}] add:2", key=id_)
    died = await stage.stored(id_)
    if died is not None:
        assert len(died.calls) == len(died.titles)
        assert len(died.said) == (2 if died.turn["status"] == "completed" else 1)
    answer = await stage.post(stage.steady, f"[{id_}] add:2", key=id_)
    assert answer.status_code == 200, answer.text
    assert replayed(answer) == (died is not None)
    stored = await stage.found(id_)
    assert stored.titles == [title(id_, 1), title(id_, 2)]
    assert len(stored.calls) == 2
    assert_sound(stage, id_)


async def test_a_committed_tool_call_is_not_repeated_and_its_stored_result_is_used(
    stage: Stage,
) -> None:
    id_ = stage.message_id()
    await struck(stage, "tool.committed", f"[{id_}] add:1", key=id_)
    died = await stage.found(id_)
    assert died.titles == [title(id_, 1)]
    assert died.call_ids == died.decided_ids
    # Nobody asks again: the sweeper of another process finds it.
    stored = await stage.ended(id_)
    assert stored.calls == died.calls
    assert stored.titles == [title(id_, 1)]
    assert stored.turn["status"] == "completed"
    assert len(stored.said) == 2
    assert callers(stage, id_)[1:] == ["steady"]
    assert_sound(stage, id_)
    answer = await same_everywhere(stage, f"[{id_}] add:1", id_)
    assert [call["result"]["task_id"] for call in answer.json()["tool_calls"]] == [1]


async def test_of_two_parallel_calls_the_one_that_had_not_run_runs_under_its_old_id(
    stage: Stage,
) -> None:
    id_ = stage.message_id()
    await struck(stage, "tool.committed", f"[{id_}] add:2", key=id_)
    died = await stage.found(id_)
    assert died.titles == [title(id_, 1)]
    assert len(died.decided_ids) == 2
    assert died.call_ids == died.decided_ids[:1]
    stored = await stage.ended(id_)
    assert stored.call_ids == died.decided_ids
    assert stored.calls[:1] == died.calls
    assert stored.titles == [title(id_, 1), title(id_, 2)]
    assert callers(stage, id_)[1:] == ["steady"]
    assert_sound(stage, id_)
    await same_everywhere(stage, f"[{id_}] add:2", id_)


async def test_a_takeover_gives_a_reasoning_model_its_reasoning_back_whole(stage: Stage) -> None:
    before, id_ = stage.message_id(), stage.message_id()
    said = await stage.post(stage.steady, f"[{before}] think add:1", key=before)
    conversation = said.json()["conversation_id"]
    message = f"[{id_}] think add:2 list"
    await struck(stage, "tool.committed", message, key=id_, conversation_id=conversation)
    stored = await stage.ended(id_)
    assert stored.turn["status"] == "completed"
    first = stage.model.decided[id_][:3]
    assert [item["type"] for item in first] == ["reasoning", "function_call", "function_call"]
    taken_up = stage.model.input_of(stage.model.asked(id_)[1])
    place = next(n for n, item in enumerate(taken_up) if item.get("id") == first[0]["id"])
    assert taken_up[place : place + 3] == first
    outputs = [item["call_id"] for item in taken_up[place + 3 :]]
    assert outputs == [item["call_id"] for item in first[1:]]
    assert callers(stage, id_)[1:] == ["steady", "steady"]
    assert_sound(stage, id_)
    assert stored.titles == [title(before, 1), title(id_, 1), title(id_, 2)]


# --- 8, 9 ---


async def test_a_process_that_dies_before_settle_leaves_only_the_reply_to_be_made_anew(
    stage: Stage,
) -> None:
    id_ = stage.message_id()
    await struck(stage, "settle.before", f"[{id_}] add:2", key=id_)
    died = await stage.found(id_)
    assert died.titles == [title(id_, 1), title(id_, 2)]
    assert died.said == [f"[{id_}] add:2"]
    asked = len(stage.model.asked(id_))
    stored = await stage.ended(id_)
    assert len(stage.model.asked(id_)) == asked + 1
    assert (stored.calls, stored.titles) == (died.calls, died.titles)
    assert len(stored.said) == 2
    assert_sound(stage, id_)
    await same_everywhere(stage, f"[{id_}] add:2", id_)


async def test_a_settled_turn_whose_answer_was_lost_is_told_again_byte_for_byte(
    stage: Stage,
) -> None:
    id_ = stage.message_id()
    await struck(stage, "settle.committed", f"[{id_}] add:1", key=id_)
    died = await stage.found(id_)
    assert died.turn["status"] == "completed"
    answer = await same_everywhere(stage, f"[{id_}] add:1", id_)
    other = await stage.victim()
    elsewhere = await stage.post(other, f"[{id_}] add:1", key=id_)
    assert (elsewhere.status_code, elsewhere.content) == (200, answer.content)
    assert (await stage.found(id_)).turn == died.turn


# --- 10 ---

BEGIN, TOOL, SETTLE = "turn_begin_", "turn_call_", "turn_settle_"


async def test_where_the_outcome_of_a_commit_is_unknown_the_key_decides(stage: Stage) -> None:
    async with Proxy(stage.cluster.socket_path, stage.url) as proxy:
        victim = await stage.victim(DATABASE_URL=proxy.url)
        for marker in (BEGIN, TOOL, SETTLE):
            for side in ("before", "after"):
                id_ = stage.message_id()
                cut = proxy.cut(marker, "before" if side == "before" else "after")
                unknown = await stage.post(victim, f"[{id_}] add:1", key=id_)
                case = f"{marker} {side}: {unknown.text}"
                assert cut.is_set(), case
                assert (unknown.status_code, unknown.json()["error_code"]) == (
                    503,
                    "database_error",
                ), case
                assert int(unknown.headers["Retry-After"]) >= 1
                known = await stage.stored(id_)
                assert (known is None) == (marker == BEGIN and side == "before"), case
                # The turn is given back as soon as the database answers again, and may have been
                # taken up by now; what the cut left behind shows only before that.
                later = await stage.stored(id_)
                if known is not None and later is not None and later.turn["attempt"] == 1:
                    titles = 0 if marker == BEGIN or (marker, side) == (TOOL, "before") else 1
                    assert len([one for one in known.titles if id_ in one]) == titles, case
                    over = known.turn["status"] == "completed"
                    assert over == ((marker, side) == (SETTLE, "after")), case
                answer = await stage.post(victim, f"[{id_}] add:1", key=id_)
                assert answer.status_code == 200, f"{case}: {answer.text}"
                assert replayed(answer) == (known is not None), case
                stored = await stage.found(id_)
                assert [one for one in stored.titles if id_ in one] == [title(id_, 1)], case
                assert len(stored.said) == 2, case
                assert_sound(stage, id_)
        assert victim.exit_code is None
        await stage.close()


# --- 11 ---


@pytest.mark.parametrize("call", [1, 2], ids=["with-a-tool-to-call", "with-a-reply-to-settle"])
async def test_an_owner_that_wakes_after_its_lease_writes_nothing(stage: Stage, call: int) -> None:
    id_ = stage.message_id()
    victim = await stage.victim()

    async def freeze(_call: ModelCall) -> None:
        victim.freeze()

    stage.model.when(id_, call, freeze)
    zombie = stage.posting(victim, f"[{id_}] add:2", key=id_)
    stored = await stage.ended(id_)
    assert (stored.turn["status"], stored.turn["attempt"]) == ("completed", 2)
    victim.thaw()
    # It wakes up with an answer of the model's in its hands and is refused at the fence.
    told = await zombie
    assert await stage.found(id_) == stored
    assert stored.titles == [title(id_, 1), title(id_, 2)]
    assert "turn.lost" in victim.log
    answer = await same_everywhere(stage, f"[{id_}] add:2", id_)
    assert (told.status_code, told.content) == (200, answer.content)


@pytest.mark.parametrize("point", ["tool.before", "tool.under_way"])
async def test_an_owner_frozen_at_a_tool_call_does_not_hold_the_turn_up(
    stage: Stage, point: str
) -> None:
    id_ = stage.message_id()
    victim = await stage.victim(point, FAULT_SIGNAL="STOP", **SHORT_TIMES)
    zombie = stage.posting(victim, f"[{id_}] add:1", key=id_)
    stored = await stage.ended(id_)
    assert (stored.turn["status"], stored.turn["attempt"]) == ("completed", 2)
    assert stored.titles == [title(id_, 1)]
    victim.thaw()
    await zombie
    assert await stage.found(id_) == stored
    await same_everywhere(stage, f"[{id_}] add:1", id_)


async def test_an_owner_that_wakes_while_another_runs_its_turn_leaves_it_to_that_one(
    stage: Stage,
) -> None:
    id_ = stage.message_id()
    victim = await stage.victim()
    gate = Gate()

    async def freeze(_call: ModelCall) -> None:
        victim.freeze()

    stage.model.when(id_, 2, freeze)
    stage.model.when(id_, 3, gate)
    zombie = stage.posting(victim, f"[{id_}] add:1 add:1", key=id_)
    await asyncio.wait_for(gate.reached.wait(), 15)
    victim.thaw()

    async def stopped() -> bool:
        return "turn.lost" in victim.log

    await until(stopped, what="the zombie stops")
    during = await stage.found(id_)
    assert (during.turn["attempt"], during.titles) == (2, [title(id_, 1)])
    gate.opened.set()
    told = await zombie
    assert told.status_code == 200, told.text
    stored = await stage.found(id_)
    assert stored.turn["attempt"] == 2
    assert stored.titles == [title(id_, 1), title(id_, 2)]
    assert_sound(stage, id_)


# --- 12 ---


async def test_a_database_that_goes_is_a_503_and_all_works_again_when_it_is_back(
    stage: Stage,
) -> None:
    id_, new = stage.message_id(), stage.message_id()
    victim = await stage.victim()

    async def stop(_call: ModelCall) -> None:
        await asyncio.to_thread(stage.cluster.stop, "immediate")

    stage.model.when(id_, 2, stop)
    try:
        lost = await stage.post(victim, f"[{id_}] add:1 add:1", key=id_)
        refused = await stage.post(stage.steady, f"[{new}] add:1", key=new)
        health = [
            (await stage.client(stage.steady).get(path)).status_code
            for path in ("/livez", "/readyz")
        ]
    finally:
        stage.cluster.start()
    for answer in (lost, refused):
        assert (answer.status_code, answer.json()["error_code"]) == (503, "database_error")
        assert int(answer.headers["Retry-After"]) >= 1
    assert lost.json()["turn_id"] is not None
    assert health == [200, 503]
    again = await stage.post(stage.steady, f"[{id_}] add:1 add:1", key=id_)
    assert again.status_code == 200, again.text
    begun = await stage.post(victim, f"[{new}] add:1", key=new)
    assert begun.status_code == 200, begun.text
    stored = await stage.found(id_)
    assert stored.titles == [title(id_, 1), title(id_, 2), title(new, 1)]
    assert_sound(stage, id_)
    assert victim.exit_code is None


async def test_connections_that_are_cut_cost_nothing_once_they_are_noticed(stage: Stage) -> None:
    id_ = stage.message_id()

    async def cut(_call: ModelCall) -> None:
        await query(
            stage.url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )

    stage.model.when(id_, 1, cut)
    answer = await stage.post(stage.steady, f"[{id_}] add:1", key=id_)
    assert answer.status_code == 200, answer.text
    assert (await stage.found(id_)).titles == [title(id_, 1)]


# --- 13 ---


async def test_a_failed_model_is_a_502_that_is_told_again_and_the_conversation_goes_on(
    stage: Stage,
) -> None:
    id_, following = stage.message_id(), stage.message_id()

    async def fail(_call: ModelCall) -> Failure:
        return Failure(500)

    stage.model.when(id_, 2, fail)
    failed = await stage.post(stage.steady, f"[{id_}] add:1", key=id_)
    assert (failed.status_code, failed.json()["error_code"]) == (502, "model_error")
    stored = await stage.found(id_)
    assert (stored.turn["status"], stored.said) == ("failed", [f"[{id_}] add:1"])
    assert stored.titles == [title(id_, 1)]
    again = await same_everywhere(stage, f"[{id_}] add:1", id_)
    assert (again.status_code, again.content) == (502, failed.content)
    conversation = failed.json()["conversation_id"]
    answer = await stage.post(stage.steady, f"[{following}] list", conversation_id=conversation)
    assert answer.status_code == 200, answer.text
    [first, *_] = stage.model.asked(following)
    history = stage.model.input_of(first)[:-1]
    assert [item.get("type", role_of(item)) for item in history] == [
        "user",
        "function_call",
        "function_call_output",
        "assistant",
    ]
    assert "no answer" in text_of(history[-1])


async def test_a_model_or_a_run_that_takes_too_long_is_a_504_that_is_told_again(
    stage: Stage,
) -> None:
    victim = await stage.victim(**SHORT_TIMES)
    attempt, run = stage.message_id(), stage.message_id()

    async def hang(_call: ModelCall) -> None:
        await asyncio.sleep(60)

    async def dawdle(_call: ModelCall) -> None:
        await asyncio.sleep(1)

    stage.model.when(attempt, 2, hang)
    for number in (1, 2, 3, 4):
        stage.model.when(run, number, dawdle)
    messages = {attempt: f"[{attempt}] add:1", run: f"[{run}] add:1 list list list"}
    answers = await asyncio.gather(
        *(stage.post(victim, message, key=id_) for id_, message in messages.items())
    )
    for (id_, message), failed in zip(messages.items(), answers, strict=True):
        assert (failed.status_code, failed.json()["error_code"]) == (504, "timeout"), failed.text
        stored = await stage.found(id_)
        assert (stored.turn["status"], stored.said) == ("failed", [message])
        assert title(id_, 1) in stored.titles
        again = await same_everywhere(stage, message, id_)
        assert (again.status_code, again.content) == (504, failed.content)


# --- 14 ---


async def test_a_turn_runs_on_when_its_client_leaves(stage: Stage) -> None:
    id_ = stage.message_id()
    gate = Gate()
    stage.model.when(id_, 1, gate)
    post = stage.posting(stage.steady, f"[{id_}] add:1", key=id_)
    await asyncio.wait_for(gate.reached.wait(), 15)
    post.cancel()
    with pytest.raises(asyncio.CancelledError):
        await post
    gate.opened.set()
    stored = await stage.ended(id_)
    assert (stored.turn["status"], stored.turn["attempt"]) == ("completed", 1)
    assert callers(stage, id_) == ["steady", "steady"]
    answer = await same_everywhere(stage, f"[{id_}] add:1", id_)
    assert answer.status_code == 200


# --- 15 ---


async def test_a_turn_cancelled_from_another_process_stops_and_keeps_what_was_done(
    stage: Stage,
) -> None:
    id_, following = stage.message_id(), stage.message_id()
    victim = await stage.victim()
    gate = Gate()
    stage.model.when(id_, 2, gate)
    post = stage.posting(victim, f"[{id_}] add:1 add:1", key=id_)
    await asyncio.wait_for(gate.reached.wait(), 15)
    turn = (await stage.found(id_)).turn
    waiting = stage.posting(stage.steady, f"[{id_}] add:1 add:1", key=id_)
    path = f"/api/{stage.person.user_id}/turns/{turn['id']}/cancel"
    cancelled = await stage.client(stage.steady).post(path, headers=stage.person.headers)
    assert cancelled.status_code == 200, cancelled.text
    assert cancelled.json()["status"] == "cancelled"
    told = await post
    assert (told.status_code, told.json()["error_code"]) == (409, "turn_cancelled")
    assert (await waiting).content == told.content
    gate.opened.set()
    again = await same_everywhere(stage, f"[{id_}] add:1 add:1", id_)
    assert (again.status_code, again.content) == (409, told.content)
    stored = await stage.found(id_)
    assert (stored.titles, len(stored.calls)) == ([title(id_, 1)], 1)
    refused = await stage.client(stage.steady).post(path, headers=stage.person.headers)
    assert (refused.status_code, refused.json()["error_code"]) == (409, "turn_not_cancellable")
    answer = await stage.post(
        victim, f"[{following}] add:1", conversation_id=str(turn["conversation_id"])
    )
    assert answer.status_code == 200, answer.text
    assert_sound(stage, following)


# --- 16 ---


async def test_sigterm_finishes_what_runs_and_sends_new_turns_elsewhere(stage: Stage) -> None:
    id_, new = stage.message_id(), stage.message_id()
    victim = await stage.victim()
    gate = Gate()
    stage.model.when(id_, 1, gate)
    post = stage.posting(victim, f"[{id_}] add:1", key=id_)
    await asyncio.wait_for(gate.reached.wait(), 15)
    victim.terminate()

    async def draining() -> bool:
        return (await stage.client(victim).get("/readyz")).status_code == 503

    await until(draining, what="it says that it drains")
    refused = await stage.post(victim, f"[{new}] add:1", key=new)
    assert (refused.status_code, refused.json()["error_code"]) == (503, "shutting_down")
    assert int(refused.headers["Retry-After"]) >= 1
    assert await stage.stored(new) is None
    gate.opened.set()
    answer = await post
    assert answer.status_code == 200, answer.text
    assert await victim.exited() == 0
    stored = await stage.found(id_)
    assert (stored.turn["attempt"], stored.titles) == (1, [title(id_, 1)])


async def test_sigterm_hands_over_what_it_cannot_finish_and_another_takes_it_at_once(
    stage: Stage,
) -> None:
    first, second = stage.message_id(), stage.message_id()
    # By its lease alone nobody could take a turn within a minute.
    times = {
        "TASKCHAT_LEASE_S": "60",
        "TASKCHAT_MODEL_TIMEOUT_S": "6",
        "TASKCHAT_QUEUE_TIMEOUT_S": "6",
        "TASKCHAT_RUN_TIMEOUT_S": "7",
        "TASKCHAT_DRAIN_TIMEOUT_S": "7.5",
    }
    victim = await stage.victim(**SHORT_TIMES | times)
    gate = Gate()

    async def dawdle(_call: ModelCall) -> None:
        await asyncio.sleep(4.2)

    async def begin_late(call: ModelCall) -> None:
        await gate(call)
        await dawdle(call)

    stage.model.when(first, 1, begin_late)
    stage.model.when(second, 2, dawdle)
    running = stage.posting(victim, f"[{first}] think", key=first)
    await asyncio.wait_for(gate.reached.wait(), 15)
    conversation = str((await stage.found(first)).turn["conversation_id"])
    message = f"[{second}] add:2"
    queued = stage.posting(victim, message, key=second, conversation_id=conversation)

    async def accepted() -> Any:
        return await stage.stored(second)

    await until(accepted, what="the second message is stored")
    victim.terminate()
    # The first takes 4.2 of the drain's 7.5 seconds, the second would need 4.2 more.
    gate.opened.set()
    finished, handed_over = await asyncio.gather(running, queued)
    assert await victim.exited() == 0
    assert finished.status_code == 200, finished.text
    assert (handed_over.status_code, handed_over.json()["error_code"]) == (503, "shutting_down")
    assert int(handed_over.headers["Retry-After"]) >= 1
    stored = await stage.ended(second, within_s=15)
    assert handed_over.json()["turn_id"] == str(stored.turn["id"])
    assert (stored.turn["status"], stored.turn["attempt"]) == ("completed", 2)
    assert stored.turn["deaths"] == 0
    assert stored.titles == [title(second, 1), title(second, 2)]
    assert callers(stage, second) == [victim.name, victim.name, "steady"]
    assert_sound(stage, second)


# --- and what does not end well, or is many at once ---


@pytest.mark.long
async def test_three_deaths_end_a_turn_as_failed_with_what_was_done(stage: Stage) -> None:
    url = await stage.cluster.make_database("deaths")
    id_ = stage.message_id()
    victims = [await stage.victim(DATABASE_URL=url) for _ in range(4)]
    here = Stage(stage.cluster, url, stage.model, stage.fleet, stage.steady)
    here.person = stage.person
    dead: list[str] = []

    async def kill(call: ModelCall) -> None:
        [caller] = [victim for victim in victims if victim.name == call.caller]
        dead.append(caller.name)
        caller.kill()

    for number in (2, 3, 4):
        here.model.when(id_, number, kill)
    with pytest.raises(httpx.TransportError):
        await here.post(victims[0], f"[{id_}] add:1", key=id_)
    stored = await here.ended(id_)
    assert len(set(dead)) == 3
    assert (stored.turn["status"], stored.turn["deaths"]) == ("failed", 3)
    assert stored.titles == [title(id_, 1)]
    assert len(stored.calls) == 1
    [survivor] = [victim for victim in victims if victim.name not in dead]
    answers = [await here.post(survivor, f"[{id_}] add:1", key=id_) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [500, 500]
    assert answers[0].content == answers[1].content
    assert answers[0].json()["turn_id"] == str(stored.turn["id"])
    following = stage.message_id()
    conversation = str(stored.turn["conversation_id"])
    answer = await here.post(survivor, f"[{following}] add:1", conversation_id=conversation)
    assert answer.status_code == 200, answer.text
    assert_sound(here, following)
    await here.close()


@pytest.mark.long
async def test_a_hundred_messages_at_once_over_three_processes_become_a_hundred_turns_in_order(
    stage: Stage,
) -> None:
    services = [stage.steady, await stage.victim(), await stage.victim()]
    opening = await stage.post(stage.steady, f"[{stage.message_id()}] think")
    conversation = opening.json()["conversation_id"]
    ids = [stage.message_id() for _ in range(99)]
    answers = await asyncio.gather(
        *(
            stage.post(services[place % 3], f"[{id_}] think", conversation_id=conversation, key=id_)
            for place, id_ in enumerate(ids)
        )
    )
    assert [answer.status_code for answer in answers] == [200] * 99, {
        answer.text for answer in answers if answer.status_code != 200
    }
    rows = await query(
        stage.url,
        "SELECT turn_number, position, content FROM messages WHERE user_id = $1"
        " ORDER BY turn_number, position",
        stage.person.user_id,
    )
    assert [(row["turn_number"], row["position"]) for row in rows] == [
        (number, position) for number in range(1, 101) for position in (0, 1)
    ]
    said = [row["content"] for row in rows]
    heard = {
        text_of(items[-1]): [text_of(item) for item in items]
        for items in (stage.model.input_of(call) for id_ in ids for call in stage.model.asked(id_))
    }
    for number in range(1, 100):
        # Everything said and answered before, in order, then the message itself.
        assert heard[said[2 * number]] == said[: 2 * number + 1]
    assert all(len(stage.model.asked(id_)) == 1 for id_ in ids)


async def test_the_same_key_twenty_times_at_once_over_two_processes_is_one_turn(
    stage: Stage,
) -> None:
    id_ = stage.message_id()
    services = [stage.steady, await stage.victim()]
    answers = await asyncio.gather(
        *(stage.post(services[place % 2], f"[{id_}] add:2", key=id_) for place in range(20))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert sorted(map(replayed, answers)) == [False] + [True] * 19
    [[turns, conversations]] = await query(
        stage.url,
        "SELECT (SELECT count(*) FROM turns WHERE user_id = $1),"
        " (SELECT count(*) FROM conversations WHERE user_id = $1)",
        stage.person.user_id,
    )
    assert (turns, conversations) == (1, 1)
    assert (await stage.found(id_)).titles == [title(id_, 1), title(id_, 2)]
    assert len(stage.model.asked(id_)) == 2
    other = await stage.post(stage.steady, f"[{id_}] add:1", key=id_)
    assert (other.status_code, other.json()["error_code"]) == (422, "idempotency_mismatch")

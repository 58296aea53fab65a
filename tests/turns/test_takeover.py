"""A turn outlives its process: taken up from its record, by whoever lives."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import pytest
from agents.testing import ModelCall, ModelStep, ScriptedModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person, calls_tool, says, scripted

from taskchat.assistant.models.asking import NamedModel
from taskchat.errors import DatabaseError, NotFound
from taskchat.http.dependencies import part_of
from taskchat.moments import new_id
from taskchat.processes.heartbeat import Heartbeat
from taskchat.turns import attempt, drive
from taskchat.turns.lease import ADOPTED_AT_ONCE, stop_lost_runs, sweep_lost_turns
from taskchat.turns.resume import read_adopted
from taskchat.turns.settle import settle_completed
from taskchat.turns.store.claim import ATTEMPTS_MAX


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


DEAD_TURNS = text(
    "SELECT count(*) FROM turns WHERE status IN ('queued', 'running') AND lease_expires_at < now()"
)


async def sweep(running: RunningApp) -> None:
    """Until no dead turn lies there: one whose row is locked at the moment is left for the next."""
    deps = running.turns
    async with asyncio.timeout(60):
        while True:
            await sweep_lost_turns(deps)
            async with deps.database.system_transaction() as connection:
                if not await connection.scalar(DEAD_TURNS):
                    return
            await asyncio.sleep(0.01)


def hangs_after(*steps: Any) -> tuple[ScriptedModel, list[NamedModel], asyncio.Event]:
    """A model that follows its script and then thinks for ever."""
    hanging = asyncio.Event()

    async def hang(_call: ModelCall) -> Any:
        hanging.set()
        await asyncio.Event().wait()

    model = ScriptedModel([*steps, ModelStep.respond(hang)])
    return model, [NamedModel("first", model)], hanging


async def expire(superuser: AsyncEngine, person: Person, owner: RunningApp) -> None:
    """What the others see of an owner that died, and what time does to its turns."""
    await part_of(owner.app, Heartbeat).close()
    async with superuser.begin() as connection:
        await connection.execute(
            text("DELETE FROM processes WHERE id = :process"),
            {"process": owner.turns.process},
        )
        await connection.execute(
            text(
                "UPDATE turns SET lease_expires_at = now() - interval '1s'"
                " WHERE user_id = :owner AND status IN ('queued', 'running')"
            ),
            {"owner": person.user_id},
        )


async def died_before(
    connection: AsyncConnection, person: Person, losses: Sequence[tuple[str, UUID, bool]]
) -> None:
    """Earlier takeovers: why, from whom, and whether that process was heard since."""
    for reason, left_by, back in losses:
        await connection.execute(
            text(
                "INSERT INTO takeovers (user_id, turn_id, attempt, reason, left_by, at)"
                " SELECT t.user_id, t.id, (SELECT count(*) + 2 FROM takeovers AS o"
                " WHERE o.turn_id = t.id), :reason, :left_by, now() - interval '1 min'"
                " FROM turns AS t WHERE t.user_id = :o"
            ),
            {"o": person.user_id, "reason": reason, "left_by": left_by},
        )
        since = "now()" if back else "now() - interval '2 min'"
        await connection.execute(
            text(
                "INSERT INTO processes (id, since, seen_at, expires_at)"
                f" VALUES (:id, {since}, {since}, {since}) ON CONFLICT DO NOTHING"
            ),
            {"id": left_by},
        )
        await connection.execute(
            text("UPDATE turns SET attempt = attempt + 1 WHERE user_id = :o"),
            {"o": person.user_id},
        )


async def test_executed_calls_are_replayed_and_decided_ones_run_under_their_old_ids(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person = Person()
    decided = [
        calls_tool("add_task", {"title": "One"}, call_id="call_one"),
        calls_tool("add_task", {"title": "Two"}, call_id="call_two"),
    ]
    _, dying, hanging = hangs_after(decided)
    finisher, finishing = scripted(says("Both are there."))
    async with running_app(chain=dying) as one, running_app(chain=finishing) as two:
        lost = asyncio.create_task(person.say(one.client, "one and two", key="k"))
        await asyncio.wait_for(hanging.wait(), 60)
        async with superuser.begin() as connection:
            # As if the process had died between the two: one effect, the decision for the other.
            await connection.execute(
                text("DELETE FROM tool_calls WHERE user_id = :o AND call_id = 'call_two'"),
                {"o": person.user_id},
            )
            await connection.execute(
                text("DELETE FROM tasks WHERE user_id = :o AND id = 2"), {"o": person.user_id}
            )
        await expire(superuser, person, one)
        answer = await person.say(two.client, "one and two", key="k")
        assert answer.status_code == 200, answer.text
        body = answer.json()
        same = await lost
    assert same.content == answer.content
    assert body["response"] == "Both are there."
    assert body["usage"]["model_calls"] == 2
    assert [call["result"]["title"] for call in body["tool_calls"]] == ["One", "Two"]
    [call] = finisher.calls
    kinds = [(item.get("type") or item["role"], item.get("call_id")) for item in call.input]
    assert kinds == [
        ("user", None),
        ("function_call", "call_one"),
        ("function_call", "call_two"),
        ("function_call_output", "call_one"),
        ("function_call_output", "call_two"),
    ]
    async with superuser.connect() as connection:
        titles = await connection.scalars(
            text("SELECT title FROM tasks WHERE user_id = :o ORDER BY id"), {"o": person.user_id}
        )
        assert list(titles) == ["One", "Two"]


async def test_a_decided_call_that_names_no_tool_is_told_and_the_turn_goes_on(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person, nameless = Person(), "functions." + "x" * 200
    decided = [
        calls_tool("add_task", {"title": "One"}, call_id="call_one"),
        calls_tool(nameless, {"title": "Two"}, call_id="call_two"),
    ]
    _, dying, hanging = hangs_after(decided)
    finisher, finishing = scripted(says("One is there."))
    async with running_app(chain=dying) as one, running_app(chain=finishing) as two:
        lost = asyncio.create_task(person.say(one.client, "one and two", key="k"))
        await asyncio.wait_for(hanging.wait(), 60)
        await expire(superuser, person, one)
        answer = await person.say(two.client, "one and two", key="k")
        assert answer.status_code == 200, answer.text
        await lost
    assert [call["tool_name"] for call in answer.json()["tool_calls"]] == ["add_task"]
    told = {item["call_id"]: item for item in finisher.calls[0].input if "output" in item}
    assert told["call_two"]["output"].startswith("There is no tool 'functions.xxx")
    names = [item["name"] for item in finisher.calls[0].input if "name" in item]
    assert names == ["add_task", "functions_" + "x" * 54]


async def test_the_sweeper_adopts_a_turn_that_nobody_asks_for_again(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person = Person()
    _, dying, hanging = hangs_after()
    _, finishing = scripted(says("Here I am."))
    async with running_app(chain=dying) as one, running_app(chain=finishing) as two:
        waiting = asyncio.create_task(person.say(one.client, "hello"))
        await asyncio.wait_for(hanging.wait(), 60)
        await expire(superuser, person, one)
        await sweep(two)
        answer = await waiting
    assert answer.status_code == 200, answer.text
    assert answer.json()["response"] == "Here I am."
    async with superuser.connect() as connection:
        row = (
            await connection.execute(
                text("SELECT attempt, deaths, status FROM turns WHERE user_id = :o"),
                {"o": person.user_id},
            )
        ).one()
    assert tuple(row) == (2, 1, "completed")


async def test_one_sweep_takes_up_all_turns_of_a_dead_process(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person, asked, turns = Person(), asyncio.Semaphore(0), 2 * ADOPTED_AT_ONCE + 3

    async def hang(_call: ModelCall) -> Any:
        asked.release()
        await asyncio.Event().wait()

    model = ScriptedModel([ModelStep.respond(hang)] * turns)
    async with running_app(chain=[NamedModel("hangs", model)]) as one, running_app() as two:
        lost = [
            asyncio.create_task(person.say(one.client, "hello", key=f"{number}"))
            for number in range(turns)
        ]
        async with asyncio.timeout(60):
            for _ in lost:
                await asked.acquire()
        await one.turns.events.close()
        await expire(superuser, person, one)
        await sweep_lost_turns(two.turns)
        async with superuser.connect() as connection:
            left = await connection.scalar(
                text("SELECT count(*) FROM turns WHERE user_id = :o AND attempt = 1"),
                {"o": person.user_id},
            )
        assert left == 0
        answers = await asyncio.gather(*lost)
    assert {answer.status_code for answer in answers} == {200}


async def test_a_process_that_lost_its_turn_writes_nothing_more(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person, go_on, asked = Person(), asyncio.Event(), asyncio.Event()

    async def wake_up_late(_call: ModelCall) -> Any:
        asked.set()
        await go_on.wait()
        return [calls_tool("add_task", {"title": "By a zombie"})]

    frozen = ScriptedModel([ModelStep.respond(wake_up_late)])
    _, finishing = scripted(says("Done by the new owner."))
    async with (
        running_app(chain=[NamedModel("frozen", frozen)]) as one,
        running_app(chain=finishing) as two,
    ):
        waiting = asyncio.create_task(person.say(one.client, "hello"))
        await asyncio.wait_for(asked.wait(), 60)
        await expire(superuser, person, one)
        await sweep(two)
        await _until(lambda: len(two.turns.jobs) == 0)
        go_on.set()
        answer = await waiting
    assert answer.json()["response"] == "Done by the new owner."
    async with superuser.connect() as connection:
        for table, expected in (("tasks", 0), ("tool_calls", 0), ("messages", 2)):
            count = await connection.scalar(
                text(f"SELECT count(*) FROM {table} WHERE user_id = :o"), {"o": person.user_id}
            )
            assert count == expected, table


async def test_the_heartbeat_stops_a_run_that_lost_its_turn(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person = Person()
    _, dying, hanging = hangs_after()
    async with running_app(chain=dying) as one:
        waiting = asyncio.create_task(person.say(one.client, "hello"))
        await asyncio.wait_for(hanging.wait(), 60)
        turns = one.turns
        await stop_lost_runs(turns)
        [(turn, attempt)] = turns.jobs.held()
        assert attempt == 1
        async with superuser.begin() as connection:
            await connection.execute(
                text(
                    "UPDATE turns SET attempt = 2, lease_expires_at = now() + interval '1h'"
                    " WHERE user_id = :o"
                ),
                {"o": person.user_id},
            )
        await stop_lost_runs(turns)
        await _until(lambda: not list(turns.jobs.held()))
        async with superuser.begin() as connection:
            await connection.execute(
                text("UPDATE turns SET status = 'failed', result = :result WHERE user_id = :o"),
                {
                    "o": person.user_id,
                    "result": '{"status":"error","error_code":"model_error","error":"No.",'
                    f'"conversation_id":"{turn.conversation_id}","turn_id":"{turn.id}",'
                    '"request_id":"r","details":[]}',
                },
            )
        turns.wakeups.wake(turn.conversation_id, turn.number, turn.number + 1)
        answer = await waiting
    assert (answer.status_code, answer.json()["request_id"]) == (502, "r")


async def test_three_deaths_end_a_turn_as_failed(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person = Person()
    _, dying, hanging = hangs_after()
    async with running_app(chain=dying) as one, running_app() as two:
        waiting = asyncio.create_task(person.say(one.client, "hello"))
        await asyncio.wait_for(hanging.wait(), 60)
        async with superuser.begin() as connection:
            await died_before(
                connection, person, [("gone", new_id(), False), ("gone", new_id(), False)]
            )
        await expire(superuser, person, one)
        await sweep(two)
        answer = await waiting
        assert (answer.status_code, answer.json()["error_code"]) == (500, "internal_error")
        works = await person.say(
            two.client, "Add task: A", conversation_id=answer.json()["conversation_id"]
        )
        assert works.status_code == 200


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        pytest.param([("gone", 1, False)], 2, id="a process that never came back"),
        pytest.param([("gone", 1, True)], 1, id="it was cut off, and lives"),
        pytest.param([("unknown", 1, True)], 1, id="behind a pooler too"),
        pytest.param([("stuck", 1, True)], 2, id="the turn stuck it, and may again"),
        pytest.param([("gone", 1, False), ("unknown", 1, False)], 2, id="nobody dies twice"),
        pytest.param([("silent", 1, False), ("ended", 2, False), ("released", 3, False)], 1),
        pytest.param([("gone", 1, True), ("gone", 2, True), ("gone", 3, True)], 1),
    ],
)
async def test_a_process_that_was_heard_again_did_not_die(
    running_app: AppMaker,
    superuser: AsyncEngine,
    losses: Sequence[tuple[str, int, bool]],
    expected: int,
) -> None:
    person, ids = Person(), [new_id() for _ in range(4)]
    _, dying, hanging = hangs_after()
    _, finishing = scripted(says("Here I am."))
    async with running_app(chain=dying) as one, running_app(chain=finishing) as two:
        waiting = asyncio.create_task(person.say(one.client, "hello"))
        await asyncio.wait_for(hanging.wait(), 60)
        async with superuser.begin() as connection:
            await died_before(
                connection, person, [(reason, ids[place], back) for reason, place, back in losses]
            )
        await expire(superuser, person, one)
        await sweep(two)
        answer = await waiting
    assert answer.status_code == 200, answer.text
    async with superuser.connect() as connection:
        turn = await connection.execute(
            text("SELECT deaths, attempt FROM turns WHERE user_id = :o"), {"o": person.user_id}
        )
        assert tuple(turn.one()) == (expected, len(losses) + 2)
        last = await connection.execute(
            text(
                "SELECT reason, left_by FROM takeovers WHERE user_id = :o"
                " ORDER BY attempt DESC LIMIT 1"
            ),
            {"o": person.user_id},
        )
        assert tuple(last.one()) == ("unknown", one.turns.process)


async def test_a_stopping_app_hands_its_turn_over_without_a_death(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person = Person()
    _, dying, hanging = hangs_after()
    _, finishing = scripted(says("Taken over."))
    async with running_app(chain=finishing) as two:
        async with running_app(chain=dying, drain_timeout_s=0.1) as one:
            waiting = asyncio.create_task(person.say(one.client, "hello", key="k"))
            await asyncio.wait_for(hanging.wait(), 60)
        told = await waiting
        assert (told.status_code, told.json()["error_code"]) == (503, "shutting_down")
        assert told.headers["retry-after"]
        answer = await person.say(two.client, "hello", key="k")
        assert answer.json()["response"] == "Taken over."
    async with superuser.connect() as connection:
        deaths = await connection.scalar(
            text("SELECT deaths FROM turns WHERE user_id = :o"), {"o": person.user_id}
        )
    assert deaths == 0


async def test_a_draining_app_takes_no_new_turn(offline_app: RunningApp) -> None:
    person = Person()
    jobs = offline_app.turns.jobs
    jobs.draining = True
    try:
        refused = await person.say(offline_app.client, "hello")
        ready = await offline_app.client.get("/readyz")
        await sweep_lost_turns(offline_app.turns)
    finally:
        jobs.draining = False
    assert (refused.status_code, refused.json()["error_code"]) == (503, "shutting_down")
    assert (ready.status_code, ready.json()["draining"]) == (503, True)
    assert (await person.say(offline_app.client, "hello")).status_code == 200


@pytest.mark.parametrize("here", [True, False])
async def test_a_cancelled_turn_stops_wherever_it_runs_and_keeps_what_was_done(
    running_app: AppMaker, here: bool
) -> None:
    person = Person()
    _, dying, hanging = hangs_after([calls_tool("add_task", {"title": "Kept"})])
    async with running_app(chain=dying) as one, running_app() as two:
        await asyncio.wait_for(one.listener.listening.wait(), 60)
        waiting = asyncio.create_task(person.say(one.client, "long work", key="k"))
        await asyncio.wait_for(hanging.wait(), 60)
        [(turn, _)] = one.turns.jobs.held()
        path = f"/api/{person.user_id}/turns/{turn.id}"
        before = await two.client.get(path, headers=person.headers)
        assert (before.json()["status"], before.json()["reply"]) == ("running", None)
        cancelling = one if here else two
        done = await cancelling.client.post(f"{path}/cancel", headers=person.headers)
        assert (done.status_code, done.json()["status"]) == (200, "cancelled")
        assert done.json()["error"]["error_code"] == "turn_cancelled"
        assert done.json()["tool_calls"][0]["result"]["title"] == "Kept"
        told = await waiting
        assert (told.status_code, told.json()["error_code"]) == (409, "turn_cancelled")
        await _until(lambda: len(one.turns.jobs) == 0)
        again = await person.say(two.client, "long work", key="k")
        assert again.content == told.content
        twice = await two.client.post(f"{path}/cancel", headers=person.headers)
        assert (twice.status_code, twice.json()["error_code"]) == (409, "turn_not_cancellable")
        works = await person.say(
            two.client, "Add task: Next", conversation_id=str(turn.conversation_id)
        )
        assert works.json()["tool_calls"][0]["result"]["task_id"] == 2


async def test_a_client_that_leaves_changes_nothing(running_app: AppMaker) -> None:
    person, go_on, asked = Person(), asyncio.Event(), asyncio.Event()

    async def think(_call: ModelCall) -> Any:
        asked.set()
        await go_on.wait()
        return says("You had left.")

    model = ScriptedModel([ModelStep.respond(think)])
    async with running_app(chain=[NamedModel("slow", model)]) as running:
        leaving = asyncio.create_task(person.say(running.client, "hello", key="k"))
        await asyncio.wait_for(asked.wait(), 60)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        go_on.set()
        answer = await person.say(running.client, "hello", key="k")
    assert answer.json()["response"] == "You had left."
    assert len(model.calls) == 1


async def test_a_run_that_takes_too_long_fails_by_name(running_app: AppMaker) -> None:
    person = Person()
    _, dying, _ = hangs_after([calls_tool("add_task", {"title": "Done in time"})])
    async with running_app(chain=dying, run_timeout_s=0.3) as running:
        answer = await person.say(running.client, "hello")
    assert (answer.status_code, answer.json()["error_code"]) == (504, "timeout")


async def test_too_many_model_calls_fail_by_name(running_app: AppMaker) -> None:
    _, chain = scripted(*[[calls_tool("list_tasks", {})] for _ in range(3)])
    async with running_app(chain=chain, model_calls_max=3) as running:
        answer = await Person().say(running.client, "for ever")
    assert (answer.status_code, answer.json()["error_code"]) == (502, "model_error")
    assert "more calls" in answer.json()["error"]


async def test_too_many_tool_calls_fail_by_name_and_keep_what_was_done(
    running_app: AppMaker,
) -> None:
    person = Person()
    _, chain = scripted([calls_tool("add_task", {"title": f"T{n}"}) for n in range(4)])
    async with running_app(chain=chain, tool_calls_max=2) as running:
        answer = await person.say(running.client, "four")
        assert (answer.status_code, answer.json()["error_code"]) == (502, "model_error")
        assert "2 tool calls" in answer.json()["error"]
        listed = await running.client.get(f"/api/{person.user_id}/tasks", headers=person.headers)
    assert [task["title"] for task in listed.json()["data"]] == ["T0", "T1"]


async def test_a_turn_whose_record_could_not_be_written_is_given_back_without_a_death(
    running_app: AppMaker, superuser: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person()
    failed: list[int] = []
    settle = settle_completed

    async def away_once(*arguments: Any, **named: Any) -> Any:
        if not failed:
            failed.append(1)
            raise DatabaseError(retry_after_s=1)
        return await settle(*arguments, **named)

    monkeypatch.setattr(attempt, "settle_completed", away_once)
    async with running_app() as running:
        turns = running.turns
        answer = await person.say(running.client, "Add task: Only once", key="k")
        assert (answer.status_code, answer.json()["error_code"]) == (503, "database_error")
        assert answer.json()["turn_id"]
        async with asyncio.timeout(60):
            while answer.status_code != 200:
                await sweep_lost_turns(turns)
                answer = await person.say(running.client, "Add task: Only once", key="k")
    assert [call["result"]["task_id"] for call in answer.json()["tool_calls"]] == [1]
    async with superuser.connect() as connection:
        row = (
            await connection.execute(
                text("SELECT attempt, deaths FROM turns WHERE user_id = :o"),
                {"o": person.user_id},
            )
        ).one()
    assert tuple(row) == (2, 0)


async def test_an_adopted_turn_that_cannot_be_read_is_given_back_and_waits_for_no_lease(
    running_app: AppMaker, superuser: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, tried = Person(), asyncio.Event()
    _, dying, hanging = hangs_after()
    _, finishing = scripted(says("Read at last."))

    async def away_once(*arguments: Any, **options: Any) -> Any:
        if not tried.is_set():
            tried.set()
            raise DatabaseError(retry_after_s=1)
        return await read_adopted(*arguments, **options)

    monkeypatch.setattr(drive, "read_adopted", away_once)
    async with running_app(chain=dying) as one, running_app(chain=finishing) as two:
        waiting = asyncio.create_task(person.say(one.client, "hello"))
        await asyncio.wait_for(hanging.wait(), 30)
        await expire(superuser, person, one)
        async with asyncio.timeout(60):
            while not waiting.done():
                await sweep_lost_turns(two.turns)
                await asyncio.sleep(0.01)
    assert tried.is_set()
    assert (await waiting).json()["response"] == "Read at last."


async def test_an_adopted_turn_whose_conversation_is_deleted_meanwhile_ends_quietly(
    running_app: AppMaker, superuser: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person()
    _, dying, hanging = hangs_after()
    async with running_app(chain=dying) as one, running_app() as two:
        jobs = []

        async def deleted_first(*arguments: Any, **options: Any) -> Any:
            turn = arguments[1].turn
            jobs.append(two.turns.jobs.get(turn.id))
            path = f"/api/{person.user_id}/conversations/{turn.conversation_id}"
            deleted = await two.client.delete(path, headers=person.headers)
            assert deleted.status_code == 204
            return await read_adopted(*arguments, **options)

        monkeypatch.setattr(drive, "read_adopted", deleted_first)
        waiting = asyncio.create_task(person.say(one.client, "hello"))
        await asyncio.wait_for(hanging.wait(), 30)
        await expire(superuser, person, one)
        async with asyncio.timeout(60):
            while not waiting.done():
                await sweep_lost_turns(two.turns)
                await asyncio.sleep(0.01)
        answer = await waiting
        assert (answer.status_code, answer.json()["error_code"]) == (404, "not_found")
        [job] = jobs
        assert job is not None
        with pytest.raises(NotFound, match="was deleted"):
            await job.task


async def test_a_turn_that_is_adopted_under_a_job_that_waits_for_it_is_left_to_the_job(
    running_app: AppMaker, superuser: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person()
    _, dying, hanging = hangs_after()
    _, finishing = scripted(says("By whoever waited."))
    async with running_app(chain=dying) as one, running_app(chain=finishing) as two:
        lost = asyncio.create_task(person.say(one.client, "hello", key="k"))
        await asyncio.wait_for(hanging.wait(), 30)
        waiting = asyncio.create_task(person.say(two.client, "hello", key="k"))
        jobs = two.turns.jobs
        await _until(lambda: len(jobs) == 1)
        # As the sweeper sees them that looked before the job began.
        monkeypatch.setattr(jobs, "turn_ids", list)
        await expire(superuser, person, one)
        await sweep_lost_turns(two.turns)
        answer = await asyncio.wait_for(waiting, 60)
        assert answer.json()["response"] == "By whoever waited."
        assert (await lost).content == answer.content


async def test_a_turn_that_was_taken_up_too_often_fails(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person = Person()
    _, dying, hanging = hangs_after()
    async with running_app(chain=dying) as one, running_app() as two:
        waiting = asyncio.create_task(person.say(one.client, "hello"))
        await asyncio.wait_for(hanging.wait(), 60)
        async with superuser.begin() as connection:
            await connection.execute(
                text(
                    "UPDATE turns SET attempt = :attempts, lease_expires_at = '-infinity'"
                    " WHERE user_id = :o"
                ),
                {"o": person.user_id, "attempts": ATTEMPTS_MAX},
            )
        await sweep(two)
        answer = await waiting
    assert (answer.status_code, answer.json()["error_code"]) == (500, "internal_error")

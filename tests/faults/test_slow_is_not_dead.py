"""Whose turns are taken, and whose are not: dead, frozen, stuck, slow, or only cut off.

Real processes and a real database; times are the database's, and what is waited for is what
happened.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from tests.faults.cluster import Cluster, query
from tests.faults.model_server import Gate, ModelCall, ModelServer
from tests.faults.processes import Fleet, Service
from tests.faults.proxy import Proxy
from tests.faults.scripts import title
from tests.faults.stage import Stage
from tests.faults.waiting import until

PATIENCE_S = 60

LONG = {"TASKCHAT_LEASE_S": "3600", "TASKCHAT_LEASE_GRACE_S": "3600"}
PATIENT = {"TASKCHAT_LEASE_S": "1", "TASKCHAT_LEASE_GRACE_S": "3600"}


@pytest.fixture(scope="module")
async def patient_url(cluster: Cluster) -> str:
    """A database whose processes take a silent one for slow, and never for dead."""
    return await cluster.make_database("patient")


@pytest.fixture
async def patient(
    cluster: Cluster, patient_url: str, model: ModelServer, fleet: Fleet
) -> AsyncIterator[Stage]:
    """What a test acts with there; one of its victims watches the other."""
    watcher = await fleet.start(DATABASE_URL=patient_url, **PATIENT)
    stage = Stage(cluster, patient_url, model, fleet, watcher)
    yield stage
    await stage.close()
    watcher.kill()
    await watcher.exited()


def process_of(service: Service) -> UUID:
    """The id by which the database knows it."""
    [line] = [line for line in service.log.splitlines() if '"app.started"' in line]
    return UUID(json.loads(line)["process"])


async def row_of(stage: Stage, service: Service) -> dict[str, Any]:
    """How the others see it; empty where they don't."""
    rows = await query(
        stage.url,
        "SELECT *, expires_at < now() AS lapsed FROM processes WHERE id = $1",
        process_of(service),
    )
    return dict(rows[0]) if rows else {}


def reasons(service: Service) -> list[str]:
    """Why it took turns up."""
    lines = [line for line in service.log.splitlines() if '"turn.adopted"' in line]
    return [json.loads(line)["reason"] for line in lines]


async def reached(gate: Gate) -> None:
    await asyncio.wait_for(gate.reached.wait(), PATIENCE_S)


async def test_a_killed_process_loses_its_turns_long_before_its_lease_ends(stage: Stage) -> None:
    id_ = stage.message_id()
    victim = await stage.victim(**LONG)

    async def kill(_call: ModelCall) -> None:
        victim.kill()

    stage.model.when(id_, 2, kill)
    with pytest.raises(httpx.TransportError):
        await stage.post(victim, f"[{id_}] add:1", key=id_)
    stored = await stage.ended(id_, within_s=PATIENCE_S)
    assert (stored.turn["status"], stored.turn["attempt"]) == ("completed", 2)
    assert stored.turn["deaths"] == 1
    assert stored.titles == [title(id_, 1)]
    assert stored.turn["finished_at"] < (await row_of(stage, victim))["expires_at"]
    assert reasons(stage.steady)[-1] == "gone"


async def test_a_frozen_process_loses_its_turns_after_the_grace_and_that_is_no_death(
    stage: Stage,
) -> None:
    id_ = stage.message_id()
    victim = await stage.victim()

    async def freeze(_call: ModelCall) -> None:
        victim.freeze()

    stage.model.when(id_, 1, freeze)
    zombie = stage.posting(victim, f"[{id_}] add:1", key=id_)
    stored = await stage.ended(id_, within_s=PATIENCE_S)
    frozen = await row_of(stage, victim)
    assert (stored.turn["attempt"], stored.turn["deaths"]) == (2, 0)
    assert (stored.turn["finished_at"] - frozen["expires_at"]).total_seconds() > 1
    assert reasons(stage.steady)[-1] == "silent"
    victim.thaw()
    told = await zombie
    assert (told.status_code, told.json()["turn_id"]) == (200, str(stored.turn["id"]))
    assert await stage.found(id_) == stored

    async def beats_again() -> bool:
        return not (await row_of(stage, victim))["lapsed"]

    await until(beats_again, within_s=PATIENCE_S, what="it is seen again")


async def test_a_process_whose_lease_ran_out_while_it_was_slow_keeps_its_turns(
    patient: Stage,
) -> None:
    id_, gate = patient.message_id(), Gate()
    slow = await patient.victim(DATABASE_URL=patient.url, **PATIENT)
    patient.model.when(id_, 1, gate)
    post = patient.posting(slow, f"[{id_}] add:1", key=id_)
    await reached(gate)
    slow.freeze()
    asks = patient.posting(patient.steady, f"[{id_}] add:1", key=id_)

    async def long_lapsed() -> bool:
        # Longer than the others need to look several times.
        rows = await query(
            patient.url,
            "SELECT 1 FROM processes WHERE id = $1 AND expires_at < now() - interval '2 s'",
            process_of(slow),
        )
        return bool(rows)

    await until(long_lapsed, within_s=PATIENCE_S, what="its lease has run out")
    slow.thaw()
    gate.opened.set()
    assert (await post).status_code == 200
    assert (await asks).content == (await post).content
    stored = await patient.found(id_)
    assert (stored.turn["attempt"], stored.turn["deaths"]) == (1, 0)
    assert reasons(patient.steady) == []


async def test_an_event_loop_that_is_stuck_for_longer_than_the_grace_loses_its_turns(
    stage: Stage, folder: Path
) -> None:
    id_ = stage.message_id()
    released = folder / f"{id_}.released"
    victim = await stage.victim("model.answered", FAULT_UNTIL=str(released))
    zombie = stage.posting(victim, f"[{id_}] add:1", key=id_)
    stored = await stage.ended(id_, within_s=PATIENCE_S)
    assert (stored.turn["status"], stored.turn["attempt"]) == ("completed", 2)
    # The turn may be what sticks it: three times are enough.
    assert stored.turn["deaths"] == 1
    assert (await row_of(stage, victim))["stuck"]
    assert reasons(stage.steady)[-1] == "stuck"
    released.touch()
    told = await zombie
    assert told.status_code == 200, told.text
    assert await stage.found(id_) == stored
    assert stored.titles == [title(id_, 1)]
    assert "turn.lost" in victim.log


async def test_an_event_loop_that_is_busy_for_longer_than_a_lease_keeps_its_turns(
    patient: Stage, folder: Path
) -> None:
    id_ = patient.message_id()
    released = folder / f"{id_}.released"
    busy = await patient.victim(
        "model.answered", FAULT_UNTIL=str(released), DATABASE_URL=patient.url, **PATIENT
    )
    post = patient.posting(busy, f"[{id_}] add:1", key=id_)

    async def is_stuck() -> bool:
        return released.with_suffix(".stuck").exists()

    await until(is_stuck, within_s=PATIENCE_S, what="its loop is stuck")
    [began] = await query(patient.url, "SELECT now() AS at")

    async def renewed() -> bool:
        rows = await query(
            patient.url,
            "SELECT 1 FROM processes WHERE id = $1 AND seen_at > $2::timestamptz + interval '3 s'",
            process_of(busy),
            began["at"],
        )
        return bool(rows)

    await until(renewed, within_s=PATIENCE_S, what="its heart beats on")
    released.touch()
    assert (await post).status_code == 200
    stored = await patient.found(id_)
    assert (stored.turn["attempt"], stored.turn["deaths"]) == (1, 0)
    assert reasons(patient.steady) == []


@pytest.mark.parametrize("how", ["terminated", "silent"])
async def test_a_heartbeat_whose_connection_dies_opens_another_and_the_turns_stay(
    patient: Stage, how: str
) -> None:
    id_, gate = patient.message_id(), Gate()
    async with Proxy(patient.cluster.socket_path, patient.url) as proxy:
        service = await patient.victim(
            DATABASE_URL=patient.url, TASKCHAT_DATABASE_DIRECT_URL=proxy.url, **PATIENT
        )
        patient.model.when(id_, 1, gate)
        post = patient.posting(service, f"[{id_}] add:1", key=id_)
        await reached(gate)
        before = (await row_of(patient, service))["session"]
        if how == "silent":
            proxy.silence()
        else:
            [cut] = await query(
                patient.url,
                "SELECT pg_terminate_backend(pid) AS done FROM pg_locks"
                " WHERE locktype = 'advisory' AND (classid::bigint << 32) | objid::bigint = $1",
                before,
            )
            assert cut["done"]

        async def another() -> bool:
            row = await row_of(patient, service)
            return bool(row["session"] not in {before, None} and not row["lapsed"])

        await until(another, within_s=PATIENCE_S, what="it has another session")
        gate.opened.set()
        assert (await post).status_code == 200
        stored = await patient.found(id_)
        assert (stored.turn["attempt"], stored.turn["deaths"]) == (1, 0)
        await patient.close()


async def test_a_direct_address_that_is_out_of_reach_is_no_reason_to_be_taken_for_dead(
    patient: Stage,
) -> None:
    nowhere = "postgresql://postgres@127.0.0.1:1/nowhere"
    service = await patient.victim(
        DATABASE_URL=patient.url, TASKCHAT_DATABASE_DIRECT_URL=nowhere, **PATIENT
    )

    async def lives() -> bool:
        return (await row_of(patient, service)).get("lapsed") is False

    await until(lives, within_s=PATIENCE_S, what="it is seen")


async def test_behind_a_pooler_a_dead_process_keeps_its_turns_until_its_lease_ends(
    stage: Stage,
) -> None:
    id_ = stage.message_id()
    async with Proxy(stage.cluster.socket_path, stage.url, pools=True) as pooler:
        victim = await stage.victim(DATABASE_URL=pooler.url)

        async def kill(_call: ModelCall) -> None:
            victim.kill()

        stage.model.when(id_, 2, kill)
        with pytest.raises(httpx.TransportError):
            await stage.post(victim, f"[{id_}] add:1", key=id_)
        stored = await stage.ended(id_, within_s=PATIENCE_S)
        row = await row_of(stage, victim)
        assert row["session"] is None
        assert (stored.turn["attempt"], stored.turn["deaths"]) == (2, 1)
        assert stored.turn["finished_at"] > row["expires_at"]
        assert reasons(stage.steady)[-1] == "unknown"


async def test_a_process_that_stops_in_order_says_so(stage: Stage) -> None:
    victim = await stage.victim()

    async def seen() -> bool:
        return bool(await row_of(stage, victim))

    await until(seen, within_s=PATIENCE_S, what="it is seen")
    victim.terminate()
    assert await victim.exited(within_s=PATIENCE_S) == 0
    assert (await row_of(stage, victim))["ended"]

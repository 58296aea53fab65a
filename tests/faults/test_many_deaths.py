"""A process that dies with many turns: all of them are taken up, not some at every sweep."""

import asyncio
import json
from datetime import datetime, timedelta

import httpx
from tests.faults.model_server import Gate
from tests.faults.stage import Stage

TURNS = 70
"""Four transactions of the sweeper."""

LEASE_S = 4
"""A sweep comes every third of it, at the earliest after half of that third."""


async def test_all_turns_of_a_dead_process_are_taken_up_within_one_sweep(stage: Stage) -> None:
    url = await stage.cluster.make_database("many_deaths")
    lease = {"DATABASE_URL": url, "TASKCHAT_LEASE_S": str(LEASE_S)}
    victim, survivor = await stage.victim(**lease), await stage.victim(**lease)
    here = Stage(stage.cluster, url, stage.model, stage.fleet, survivor)
    gates = {stage.message_id(): Gate() for _ in range(TURNS)}
    for id_, gate in gates.items():
        stage.model.when(id_, 1, gate)
    posts = [here.posting(victim, f"[{id_}] think", key=id_) for id_ in gates]
    await asyncio.wait_for(asyncio.gather(*(gate.reached.wait() for gate in gates.values())), 15)
    victim.kill()
    lost = await asyncio.gather(*posts, return_exceptions=True)
    assert all(isinstance(answer, httpx.TransportError) for answer in lost)
    for id_ in gates:
        stored = await here.ended(id_)
        assert (stored.turn["status"], stored.turn["attempt"]) == ("completed", 2)
    lines = [json.loads(line) for line in survivor.log.splitlines() if "turn.adopted" in line]
    moments = sorted(datetime.fromisoformat(line["timestamp"]) for line in lines)
    assert len(moments) == TURNS
    # Three sweeps later would be the earliest for the last of them otherwise.
    assert moments[-1] - moments[0] < timedelta(seconds=3 * LEASE_S / 3 / 2)
    await here.close()

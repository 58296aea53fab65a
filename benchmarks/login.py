"""Whether the time of a refused sign-in tells if an address has an account; and what a flood costs.

Known and unknown addresses are tried one after the other in random order, so that whatever else the
machine does meets both alike. Then turns are timed, alone and beside a flood of sign-ins, in turn.
"""

import argparse
import asyncio
import contextlib
import json
import random
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import httpx

from benchmarks.stage import OURS, SCRIPTED, staged

PASSWORD: Final = "correct horse battery staple"
WRONG: Final = "another horse battery staple"

VARIABLES: Final = {
    **SCRIPTED,
    "TASKCHAT_ACCOUNTS": "true",
    "TASKCHAT_ACCOUNTS_ATTEMPTS_PER_HOUR": "0",
    "TASKCHAT_ACCOUNTS_CLIENT_ATTEMPTS_PER_HOUR": "0",
    "TASKCHAT_ACCOUNTS_REFRESHES_PER_HOUR": "0",
}

WARM: Final = 10
"""Attempts before the first that counts."""

FLOOD: Final = 100
"""Sign-ins that are always under way; with the defaults 52 of them are let wait."""


@dataclass(frozen=True)
class Timing:
    """Seconds of refused sign-ins.

    Attributes:
        known_ms: Median for an address that has an account.
        unknown_ms: Median for one that has none.
        ratio: One by the other.
        told_apart: How often the known one is the slower of a random pair; 0.5 tells nothing.
        samples: Of each.
    """

    known_ms: float
    unknown_ms: float
    ratio: float
    told_apart: float
    samples: int


@dataclass(frozen=True)
class Flood:
    """Turns alone and beside a flood of sign-ins.

    Attributes:
        alone_ms: Median of a turn alone.
        beside_ms: Median beside the flood.
        worst_ms: The slowest beside it.
        signed_in_s: Sign-ins that were answered in a second meanwhile.
        refused_s: Those that were refused with 503.
        turns: Of each.
    """

    alone_ms: float
    beside_ms: float
    worst_ms: float
    signed_in_s: float
    refused_s: float
    turns: int


async def attempt(client: httpx.AsyncClient, email: str) -> int:
    body = {"email": email, "password": WRONG}
    return (await client.post("/api/auth/login", json=body)).status_code


async def timing(client: httpx.AsyncClient, known: Sequence[str], samples: int) -> Timing:
    for _ in range(WARM):
        await attempt(client, known[0])
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for number in range(samples):
        for is_known in random.sample((True, False), 2):
            email = known[number % len(known)] if is_known else f"nobody-{number}@example.org"
            begun = time.perf_counter()
            status = await attempt(client, email)
            seconds[is_known].append(time.perf_counter() - begun)
            assert status == 401
    medians = {kind: statistics.median(found) * 1000 for kind, found in seconds.items()}
    slower = sum(one > other for one in seconds[True] for other in seconds[False])
    return Timing(
        medians[True],
        medians[False],
        medians[True] / medians[False],
        slower / samples**2,
        samples,
    )


@contextlib.asynccontextmanager
async def flooded(client: httpx.AsyncClient) -> AsyncIterator[list[int]]:
    """Sign-ins as fast as they are answered; yields their statuses."""
    statuses: list[int] = []

    async def again_and_again(number: int) -> None:
        while True:
            statuses.append(await attempt(client, f"flood-{number}@example.org"))
            if statuses[-1] == 503:
                # Sooner than Retry-After says, and not so soon that this process is the flood.
                await asyncio.sleep(1)

    jobs = [asyncio.create_task(again_and_again(number)) for number in range(FLOOD)]
    try:
        yield statuses
    finally:
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)


async def flood(client: httpx.AsyncClient, tokens: dict[str, Any], turns: int) -> Flood:
    async def turn_s() -> float:
        begun = time.perf_counter()
        answer = await client.post(
            f"/api/{tokens['user_id']}/chat",
            json={"message": "Add task: Buy groceries"},
            headers={"Authorization": f"Bearer {tokens['access_token']}"},
        )
        assert answer.status_code == 200, answer.text
        return time.perf_counter() - begun

    await turn_s()
    alone, beside, statuses, flooded_s = [], [], [], 0.0
    for _ in range(3):
        alone += [await turn_s() for _ in range(turns // 3)]
        begun = time.perf_counter()
        async with flooded(client) as answered:
            beside += [await turn_s() for _ in range(turns // 3)]
        flooded_s += time.perf_counter() - begun
        statuses += answered
    return Flood(
        statistics.median(alone) * 1000,
        statistics.median(beside) * 1000,
        max(beside) * 1000,
        statuses.count(401) / flooded_s,
        statuses.count(503) / flooded_s,
        len(beside),
    )


async def measured(samples: int, turns: int) -> tuple[Timing, Flood]:
    with staged() as stage:
        url = await stage.database(OURS, "login")
        server = await stage.serve(OURS, url, VARIABLES)
        limits = httpx.Limits(max_connections=None)
        address = f"http://127.0.0.1:{server.port}"
        async with httpx.AsyncClient(base_url=address, timeout=60, limits=limits) as client:
            known = [f"ann-{number}@example.org" for number in range(10)]
            for email in known:
                body = {"email": email, "password": PASSWORD}
                answer = await client.post("/api/auth/register", json=body)
                assert answer.status_code == 201, answer.text
            return (
                await timing(client, known, samples),
                await flood(client, answer.json(), turns),
            )


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-login", description=__doc__)
    parser.add_argument("--samples", type=int, default=300, help="sign-ins of each kind")
    parser.add_argument("--turns", type=int, default=300, help="turns of each kind")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    options = parser.parse_args()
    times, flooding = asyncio.run(measured(options.samples, options.turns))
    if options.json:
        print(json.dumps({"timing": asdict(times), "flood": asdict(flooding)}, indent=2))
        return
    print(
        f"A refused sign-in, {times.samples} of each: known {times.known_ms:.1f} ms,"
        f" unknown {times.unknown_ms:.1f} ms, ratio {times.ratio:.3f};"
        f" the known one is slower in {times.told_apart:.0%} of pairs."
    )
    print(
        f"A turn, {flooding.turns} of each: alone {flooding.alone_ms:.1f} ms, beside a flood"
        f" {flooding.beside_ms:.1f} ms, at worst {flooding.worst_ms:.0f} ms; meanwhile"
        f" {flooding.signed_in_s:.0f} sign-ins a second were answered and {flooding.refused_s:.0f}"
        " refused."
    )


if __name__ == "__main__":
    main()

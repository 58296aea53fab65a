"""Our OpenAPI document by schemathesis, with all of its checks, on a service that runs."""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.factories import JWT_SECRET, Person
from tests.fuzz.stage import Stage
from tests.fuzz.tally import Tally
from tests.live.served import on_a_socket

from taskchat.auth.issuing import issue_token

PROJECT: Final = Path(__file__).resolve().parents[2]

DAY_S: Final = 86_400

PHASES: Final = ("coverage", "fuzzing,stateful")
"""After its examples, which take no time: what its rules say is at an edge, and what it draws."""


@dataclass(frozen=True)
class Tried:
    """What schemathesis did.

    Attributes:
        code: 0: it found nothing.
        said: What it printed.
        answers: How many of each class there were.
    """

    code: int
    said: str
    answers: Counter[str]


async def schemathesis(url: str, folder: Path, *arguments: str) -> Tried:
    """Run it as `schemathesis.toml` has it.

    Args:
        url: Of the service.
        folder: For its report.
        arguments: Besides.
    """
    person = Person()
    token = issue_token(person.user_id, secret=JWT_SECRET, ttl_s=DAY_S, issuer=None, audience=None)
    report = folder / "report.ndjson"
    command = [
        *(sys.executable, "-m", "schemathesis.cli"),
        *("--config-file", str(PROJECT / "tests/fuzz/schemathesis.toml")),
        *("run", f"{url}/openapi.json", "--no-color", "--warnings", "off"),
        *("--report", "ndjson", "--report-ndjson-path", str(report), *arguments),
    ]
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=PROJECT,
        env={**os.environ, "FUZZ_USER": person.user_id, "FUZZ_TOKEN": token},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return Tried(process.returncode, out.decode(), _answers(report))


def _answers(report: Path) -> Counter[str]:
    counted: Counter[str] = Counter()
    with report.open(encoding="utf-8") as lines:
        for line in lines:
            for event in json.loads(line).values():
                for one in event.get("recorder", {}).get("interactions", {}).values():
                    if one.get("response"):
                        counted[f"{one['response']['status_code'] // 100}xx"] += 1
    return counted


async def contract(stage: Stage, seed: int, ends: float, tally: Tally) -> None:
    """The part of a campaign: everything that it has, over and over."""
    for phases in PHASES:
        async with on_a_socket(stage.app, stage.settings) as url:
            left = max(10, int(ends - time.monotonic()))
            tried = await schemathesis(
                url,
                stage.folder,
                *("--phases", phases, "--seed", str(seed), "--continue-on-failure"),
                *("--max-time", str(left // (2 if phases == PHASES[0] else 1))),
            )
        tally.counted.update({("contract", kind): n for kind, n in tried.answers.items()})
        if tried.code:
            tally.find(f"contract, {phases}", f"seed {seed}\n{tried.said}")

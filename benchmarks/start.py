"""How long `taskchat dev` takes until it is ready, and what its first turns take.

The data folder exists already, as at every start but the first. Imports are measured apart, by
package.
"""

import argparse
import atexit
import contextlib
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.clocks import cpu_s
from benchmarks.processes import AMPLE_LIMITS

TURNS = 10
ROUNDS = 5
PACKAGES = 12
"""That are shown; what the others take is summed up."""

MESSAGE = {"message": "Add task: Buy groceries"}
WAIT_S = 120
"""Only ends a hang."""

LOOK_S = 0.002
SETTLE_S = 1
"""After the start, so that what runs beside it has ended before the first turn."""

IMPORT = (
    "from taskchat.serving.memory import put_off_collection; put_off_collection();"
    " import taskchat.commands.dev; import os; print(sum(os.times()[:2]))"
)
"""What a start imports, in the way in which it does."""


@dataclass(frozen=True)
class Start:
    """One start, and the first turns of the process, each in a conversation of its own.

    Attributes:
        ready_s: Until it says that it serves.
        cpu_s: The processor time of its process until then.
        turns_ms: From sending a message to its answer.
        turns_cpu_ms: The processor time of the process meanwhile, in steps of 10 ms.
    """

    ready_s: float
    cpu_s: float
    turns_ms: list[float]
    turns_cpu_ms: list[float]


@dataclass(frozen=True)
class Imports:
    """What is imported.

    Attributes:
        cpu_s: The processor time of an interpreter that does nothing else.
        packages: Modules and milliseconds of each package, its own and not those of what it
            imports; measuring each module makes all of it slower.
    """

    cpu_s: float
    packages: dict[str, tuple[int, float]]


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """As a user has it, without any configuration of ours."""
    ours = ("TASKCHAT_", "OPENAI_", "DATABASE_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, **variables}


@contextlib.contextmanager
def started(folder: Path) -> Iterator[tuple[psutil.Process, float, dict[str, Any]]]:
    """`taskchat dev` in a folder: its process, when it was started, and its ready file."""
    file = folder / "ready.json"
    began = time.perf_counter()
    command = [sys.executable, "-P", "-m", "taskchat", "dev", "--port", "0"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--ready-file", str(file)],
            cwd=folder,
            env=environment(AMPLE_LIMITS),
            stdout=log,
            stderr=log,
        )
    try:
        while not file.exists():
            if process.poll() is not None or time.perf_counter() - began > WAIT_S:
                raise RuntimeError(f"it did not start:\n{(folder / 'log').read_text()}")
            time.sleep(LOOK_S)
        yield psutil.Process(process.pid), began, json.loads(file.read_text())
    finally:
        file.unlink(missing_ok=True)
        process.terminate()
        process.wait(WAIT_S)


def measure_start(folder: Path) -> Start:
    with started(folder) as (process, began, ready):
        ready_s, ready_cpu_s = time.perf_counter() - began, cpu_s(process)
        time.sleep(SETTLE_S)
        headers = {"Authorization": f"Bearer {ready['token']}"}
        took: list[float] = []
        spent: list[float] = []
        with httpx.Client(base_url=ready["url"], headers=headers, timeout=WAIT_S) as client:
            # The client's own first request is not to be measured.
            client.get("/livez").raise_for_status()
            for _ in range(TURNS):
                sent, before = time.perf_counter(), cpu_s(process)
                client.post("/api/demo/chat", json=MESSAGE).raise_for_status()
                took.append(round((time.perf_counter() - sent) * 1000, 1))
                spent.append(round((cpu_s(process) - before) * 1000))
    return Start(round(ready_s, 2), round(ready_cpu_s, 2), took, spent)


def measure_imports(rounds: int) -> Imports:
    def imported(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *options, "-c", IMPORT],
            env=environment({}),
            capture_output=True,
            text=True,
            check=True,
            timeout=WAIT_S,
        )

    taken = [float(imported().stdout) for _ in range(rounds)]
    modules: Counter[str] = Counter()
    micros: Counter[str] = Counter()
    # “import time:   self [us] | cumulative | module”, its level shown by blanks.
    for line in imported("-X", "importtime").stderr.splitlines()[1:]:
        own, _, module = line.removeprefix("import time:").split("|")
        package = module.strip().partition(".")[0]
        modules[package] += 1
        micros[package] += int(own)
    packages = {name: (modules[name], round(own / 1000, 1)) for name, own in micros.most_common()}
    return Imports(round(statistics.median(taken), 2), packages)


def report(starts: Sequence[Start], imports: Imports) -> dict[str, Any]:
    """Everything that is measured, as JSON."""
    about = {"python": platform.python_version(), "cores": psutil.cpu_count()}
    return {**about, "starts": [asdict(start) for start in starts], "imports": asdict(imports)}


def table(starts: Sequence[Start], imports: Imports) -> str:
    def spread(values: Sequence[float], digits: int) -> str:
        middle, *ends = statistics.median(values), min(values), max(values)
        return f"{middle:.{digits}f} ({ends[0]:.{digits}f} to {ends[1]:.{digits}f})"

    lines = [
        f"Python {platform.python_version()}, {psutil.cpu_count()} cores; median of"
        f" {len(starts)} starts (least to most).",
        "",
        f"{'start':<16}{'time':<26}{'processor':<26}",
        f"{'until ready, s':<16}{spread([start.ready_s for start in starts], 2):<26}"
        f"{spread([start.cpu_s for start in starts], 2):<26}",
        f"{'imports, s':<16}{'':<26}{imports.cpu_s:.2f}",
    ]
    for name, number in (("first", 0), ("second", 1), ("tenth", TURNS - 1)):
        lines.append(
            f"{f'{name} turn, ms':<16}{spread([start.turns_ms[number] for start in starts], 0):<26}"
            f"{spread([start.turns_cpu_ms[number] for start in starts], 0):<26}"
        )
    lines += ["", f"{'package':<24}{'modules':>8}{'ms':>8}"]
    shown = list(imports.packages.items())
    for package, (modules, own_ms) in shown[:PACKAGES]:
        lines.append(f"{package:<24}{modules:>8}{own_ms:>8.0f}")
    others = [figures for _, figures in shown[PACKAGES:]]
    lines.append(
        f"{f'{len(others)} others':<24}{sum(modules for modules, _ in others):>8}"
        f"{sum(own_ms for _, own_ms in others):>8.0f}"
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"starts [{ROUNDS}]")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    # What is told to stop stops all that it has started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="taskchat-bench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    # Makes the cluster, and compiles what is not yet.
    measure_start(folder)
    starts = [measure_start(folder) for _ in range(options.rounds)]
    imports = measure_imports(options.rounds)
    print(json.dumps(report(starts, imports), indent=2) if options.json else table(starts, imports))


if __name__ == "__main__":
    main()

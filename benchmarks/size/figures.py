"""What a page and an export take, and what they make of the server's memory."""

import statistics
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from benchmarks.size.places import Place, Reader

TIMES = 20
"""Requests for each page in a round."""

LOOK_S = 0.005
"""How often the server's memory is looked at while it writes an export."""


@dataclass(frozen=True)
class Took:
    """One round of a read: milliseconds, in the median of its requests."""

    ms: float


@dataclass(frozen=True)
class Exported:
    """One export: milliseconds for a hundred turns; MiB that came; the most that the server had."""

    ms: float
    mib: float
    resident_mib: float


def resident_mib(process: psutil.Process) -> float:
    """Its resident memory."""
    return float(process.memory_info().rss) / 1024**2


class Memory:
    """The most resident memory that a process has while a block runs, in MiB."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._over = threading.Event()

    def __enter__(self) -> "Memory":
        self.most_mib = resident_mib(self._process)
        self._looking = threading.Thread(target=self._look)
        self._looking.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._looking.join()

    def _look(self) -> None:
        while not self._over.wait(LOOK_S):
            self.most_mib = max(self.most_mib, resident_mib(self._process))


def timed(reader: Reader, path: str) -> Took:
    """A page, so often."""
    seconds = []
    for _ in range(TIMES):
        began = time.perf_counter()
        reader.drain(path)
        seconds.append(time.perf_counter() - began)
    return Took(statistics.median(seconds) * 1000)


def exported(place: Place, path: str, turns: int, process: psutil.Process) -> Exported:
    began = time.perf_counter()
    with Memory(process) as memory:
        size = place.reader.drain(path)
    took_ms = (time.perf_counter() - began) * 1000
    return Exported(took_ms / turns * 100, size / 1024**2, memory.most_mib)


def compared(rounds: Mapping[str, Sequence[Any]], places: Sequence[Place]) -> dict[str, Any]:
    """By place, the smallest first: the median of each figure; of `ms` also extremes and ratio.

    The ratio is that to the smallest place, round by round: what slowed one down probably slowed
    its neighbour down too.
    """
    least = [one.ms for one in rounds[places[0].name]]
    found: dict[str, Any] = {}
    for place in places:
        took = rounds[place.name]
        ms = [one.ms for one in took]
        figures = {
            name: round(statistics.median(getattr(one, name) for one in took), 3)
            for name in asdict(took[0])
        }
        ratio = statistics.median(one / other for one, other in zip(ms, least, strict=True))
        extremes = {"min_ms": round(min(ms), 3), "max_ms": round(max(ms), 3)}
        found[place.name] = {**figures, **extremes, "ratio": round(ratio, 2)}
    return found

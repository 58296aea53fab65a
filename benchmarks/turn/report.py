"""What was measured of both sides, as JSON and as a table."""

import os
import platform
import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.cost import Cost
from benchmarks.turn.sides import CONCURRENCY

Rounds = dict[str, list[tuple[Cost, Cost]]]
"""Costs of the lean server and of ours, by case and round."""


def summary(values: Sequence[float]) -> dict[str, Any]:
    return {
        "median": round(statistics.median(values), 3),
        "min": round(min(values), 3),
        "max": round(max(values), 3),
        "rounds": [round(value, 3) for value in values],
    }


def report(measured: Rounds) -> dict[str, Any]:
    """Everything that is measured, as JSON."""
    return {
        case: {
            "ratio": summary([ours.server / lean.server for lean, ours in rounds]),
            **{
                f"{measure}_ms": {
                    "lean": summary([getattr(lean, measure) for lean, _ in rounds]),
                    "taskchat": summary([getattr(ours, measure) for _, ours in rounds]),
                }
                for measure in ("server", "postgres", "latency")
            },
        }
        for case, rounds in measured.items()
    }


def table(found: dict[str, Any], turns: int) -> str:
    def range_of(values: dict[str, Any], digits: int) -> str:
        low, middle, high = (f"{values[name]:.{digits}f}" for name in ("min", "median", "max"))
        return f"{middle} ({low} to {high})"

    lines = [
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {turns} turns a round,"
        f" {CONCURRENCY} at once. Milliseconds of processor time per turn:",
        "median (least to most) over rounds.",
        "",
        f"{'turn':<36}{'lean server':<24}{'taskchat server':<24}{'ratio':<24}Postgres, lean / ours",
    ]
    for case, values in found.items():
        server, postgres = values["server_ms"], values["postgres_ms"]
        lines.append(
            f"{case:<36}{range_of(server['lean'], 2):<24}{range_of(server['taskchat'], 2):<24}"
            f"{range_of(values['ratio'], 2):<24}"
            f"{postgres['lean']['median']:.2f} / {postgres['taskchat']['median']:.2f}"
        )
    lines += ["", "By round, lean / taskchat = ratio:"]
    for case, values in found.items():
        server = values["server_ms"]
        rounds = zip(
            server["lean"]["rounds"],
            server["taskchat"]["rounds"],
            values["ratio"]["rounds"],
            strict=True,
        )
        shown = ", ".join(f"{lean:.2f}/{ours:.2f}={ratio:.2f}" for lean, ours, ratio in rounds)
        lines.append(f"{case:<36}{shown}")
    return "\n".join(lines)

"""What was measured at each size, with its ratio to the smallest, as JSON and as tables."""

import dataclasses
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Rounds = Mapping[str, Sequence[Any]]
"""By place, the rounds: objects of one dataclass of numbers. The smallest place comes first."""


def report(found: Mapping[str, Rounds]) -> dict[str, Any]:
    """By kind and place: median and extremes of each figure, and of its ratio."""
    return {kind: _compared(places) for kind, places in found.items()}


def _compared(places: Rounds) -> dict[str, Any]:
    smallest = next(iter(places.values()))
    return {place: _figures(rounds, smallest) for place, rounds in places.items()}


def _figures(rounds: Sequence[Any], smallest: Sequence[Any]) -> dict[str, Any]:
    figures = {}
    for field in dataclasses.fields(rounds[0]):
        values = [getattr(one, field.name) for one in rounds]
        # Round by round: what slowed one down probably slowed its neighbour down too.
        ratios = [
            value / getattr(least, field.name)
            for value, least in zip(values, smallest, strict=True)
        ]
        figures[field.name] = {**_summary(values), "ratio": _summary(ratios)}
    return figures


def _summary(values: Sequence[float]) -> dict[str, Any]:
    return {
        "median": round(statistics.median(values), 3),
        "min": round(min(values), 3),
        "max": round(max(values), 3),
    }


def tables(found: Mapping[str, Any], heads: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """One table for each kind: medians, with the median of the ratio.

    Args:
        found: A report.
        heads: By kind, what the columns of its figures are called.
    """
    for kind, places in found.items():
        names = heads[kind]
        yield f"| {kind} | {' | '.join(names.values())} |"
        yield f"| --- |{' --- |' * len(names)}"
        for place, figures in places.items():
            cells = (
                f"{figures[name]['median']:,.1f} (× {figures[name]['ratio']['median']:.2f})"
                for name in names
            )
            yield f"| {place} | {' | '.join(cells)} |"
        yield ""

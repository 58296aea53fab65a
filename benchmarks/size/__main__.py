"""How reading grows with what there is to read: long conversations, users with many, exports."""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.size.figures import Exported, Took, compared, exported, resident_mib, timed
from benchmarks.size.places import made
from benchmarks.stage import OURS, SCRIPTED, connected, staged


async def measure(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """By kind and name, what reading took at each size, the smallest first."""
    with staged() as stage:
        url = await stage.database(OURS, "bench_size")
        server = await stage.serve(OURS, url, SCRIPTED)
        sizes = zip(options.messages, options.conversations, strict=True)
        places = [await made(stage, server.port, url, *size) for size in sizes]
        async with connected(url) as database:
            # Or autovacuum does it while reads are measured.
            await database.execute("VACUUM (ANALYZE)")
            await database.execute("CHECKPOINT")
        pages = {place.name: dict(place.pages()) for place in places}
        exports = {
            place.name: {name: (path, turns) for name, path, turns in place.exports()}
            for place in places
        }
        pages_took: dict[str, dict[str, list[Took]]] = {}
        exports_took: dict[str, dict[str, list[Exported]]] = {}
        memory: dict[str, float] = {}
        # The first round warms up.
        for number in range(options.rounds + 1):
            # Who goes first alternates, lest one always meet another one's aftermath.
            in_turn = places if number % 2 == 0 else places[::-1]
            for name in pages[places[0].name]:
                for place in in_turn:
                    path = pages[place.name][name]
                    took = timed(place.reader, path)
                    if number:
                        pages_took.setdefault(name, {}).setdefault(place.name, []).append(took)
            # Memory that was needed once is kept: what counts is what came with the first exports.
            memory.setdefault("before", resident_mib(server.process))
            for name in exports[places[0].name]:
                for place in in_turn:
                    path, turns = exports[place.name][name]
                    whole = exported(place, path, turns, server.process)
                    memory["most"] = max(memory.get("most", 0), whole.resident_mib)
                    if number:
                        exports_took.setdefault(name, {}).setdefault(place.name, []).append(whole)
            print(".", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        return {
            "page": {name: compared(pages_took[name], places) for name in pages_took},
            "export": {name: compared(exports_took[name], places) for name in exports_took},
            "memory": {when: round(mib, 1) for when, mib in memory.items()},
        }


def tables(found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """One table for each kind: medians, with the median of the ratio to the smallest size."""
    names = list(next(iter(found["page"].values())))
    yield "| page | " + " | ".join(f"{name}, ms" for name in names) + " |"
    yield "| --- |" + " --- |" * len(names)
    for read, sizes in found["page"].items():
        cells = [_cell(sizes[name], ratio=name != names[0]) for name in names]
        yield f"| {read} | {' | '.join(cells)} |"
    yield ""
    heads = [f"{name}: ms for 100 turns" for name in names]
    yield f"| export | {' | '.join(heads)} | MiB |"
    yield "| --- |" + " --- |" * (len(names) + 1)
    for read, sizes in found["export"].items():
        cells = [_cell(sizes[name], ratio=name != names[0]) for name in names]
        cells.append(" / ".join(f"{sizes[name]['mib']:.1f}" for name in names))
        yield f"| {read} | {' | '.join(cells)} |"
    yield ""
    before, most = found["memory"]["before"], found["memory"]["most"]
    yield f"The server has {before} MiB before the first export, and {most} at most in all of them."


def _cell(figures: Mapping[str, Any], *, ratio: bool) -> str:
    return f"{figures['ms']:.1f}" + (f" (× {figures['ratio']:.2f})" if ratio else "")


def _sizes(text: str) -> list[int]:
    return sorted(int(part) for part in text.split(","))


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-size", description=__doc__)
    add = parser.add_argument
    add("--messages", type=_sizes, default="200,10000", help="of a conversation [%(default)s]")
    add("--conversations", type=_sizes, default="200,10000", help="of a user [%(default)s]")
    add("--rounds", type=int, default=5, help="at every size [%(default)s]")
    add("--json", action="store_true", help="print JSON in place of tables")
    add("--short", action="store_true", help="try everything in half a minute, too small to quote")
    options = parser.parse_args()
    if options.short:
        options.messages, options.conversations, options.rounds = [200, 1000], [200, 1000], 1
    found = asyncio.run(measure(options))
    print(json.dumps(found, indent=2) if options.json else "\n".join(tables(found)))


if __name__ == "__main__":
    main()

"""What a search finds, and how its time grows with what a user has said."""

import argparse
import asyncio
import json
from typing import Any

from benchmarks.search import latency, quality
from benchmarks.search.model import PACKAGE, real_model
from benchmarks.stage import OURS, staged
from taskchat.postgres.database import Database
from taskchat.settings import Settings


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    vectors = real_model()
    with staged() as stage:
        found: dict[str, Any] = {"model": PACKAGE if vectors else None}
        for name, part in (("recall at 5", "bench_quality"), ("ms", "bench_latency")):
            url = await stage.database(OURS, part)
            settings = Settings(
                _env_file=None,
                database_url=url,
                search_languages=options.languages,
                search_similarity_min=options.similarity,
            )
            database = Database(url, settings)
            try:
                if name == "ms":
                    found[name] = await latency.measure(
                        database, url, settings, size=options.size, rounds=options.rounds
                    )
                else:
                    found[name] = await quality.measure(database, settings, vectors)
            finally:
                await database.close()
        return found


def tables(found: dict[str, Any]) -> list[str]:
    recalls, times = found["recall at 5"], found["ms"]
    kinds = list(recalls["words"])
    lines = ["| recall at 5 | " + " | ".join(kinds) + " |", "| --- |" + " --- |" * len(kinds)]
    for ranking, of_kinds in recalls.items():
        shown = ranking
        if ranking != "words" and found["model"] is None:
            shown = f"{ranking} (by the tests' model, which knows next to nothing)"
        lines.append(f"| {shown} | " + " | ".join(f"{of_kinds[kind]:.2f}" for kind in kinds) + " |")
    first = next(iter(times.values()))
    lines += ["", "| ms | " + " | ".join(first) + " |", "| --- |" + " --- |" * len(first)]
    for name, of_user in times.items():
        shares = (f"{ms:.1f} ({ms / first[what]:.1f} ×)" for what, ms in of_user.items())
        lines.append(f"| {name} | " + " | ".join(shares) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-search", description=__doc__)
    add = parser.add_argument
    add("--size", type=int, default=10_000, help="messages, and conversations [%(default)s]")
    add("--rounds", type=int, default=20, help="of each search [%(default)s]")
    add("--languages", default="english,german,french,spanish,russian", help="[%(default)s]")
    add("--similarity", type=float, default=0.3, help="the least cosine [%(default)s]")
    add("--json", action="store_true", help="print JSON in place of tables")
    options = parser.parse_args()
    found = asyncio.run(measure(options))
    print(json.dumps(found, indent=2) if options.json else "\n".join(tables(found)))


if __name__ == "__main__":
    main()

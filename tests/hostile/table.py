"""The rows as docs/security.md shows them: `python -m tests.hostile.table` writes them there."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.hostile.rows import ACCEPTED, ROWS, Row
from tests.hostile.ways import GROUPS, Way, ways_of

from taskchat.app import create_app
from taskchat.settings import OFFLINE, Settings

PAGE: Final = Path(__file__).parents[2] / "docs" / "security.md"

BEGIN: Final = "<!-- rows: written by python -m tests.hostile.table -->\n"
END: Final = "<!-- rows end -->"

ORDER: Final = [*reversed([name for name in GROUPS if name not in {"REST", "chat"}])]
COLUMNS: Final = ["chat", "REST", *ORDER]


def every_way() -> list[Way]:
    """The ways in of a service in which nothing is switched off."""
    settings = Settings(
        _env_file=None, jwt_secret="x" * 32, accounts=True, model=OFFLINE, database_url=None
    )
    return ways_of(create_app(settings), settings)


def table(ways: Sequence[Way]) -> str:
    """All rows by the groups of ways in, and below them who answers otherwise, and why."""
    head = ["what is sent", *COLUMNS, "WebSocket"]
    lines = [head, ["---"] * len(head)]
    for row in ROWS:
        lines.append([row.words, *(_cell(row, group, ways) for group in COLUMNS), row.socket])
    shown = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    notes = {
        f"- `{name}`: {'taken' if status == ACCEPTED else status}, because {why}."
        for row in ROWS
        for name, (status, why) in row.except_for.items()
    }
    return "\n".join([shown, "", "Ways in that answer otherwise:", "", *sorted(notes), ""])


def _cell(row: Row, group: str, ways: Sequence[Way]) -> str:
    """What the ways in of a group answer; a dash if none of them has such a thing."""
    fitting = [way for way in ways if way.group == group and row.kind.fits(way)]
    statuses = sorted({row.status_at(way) for way in fitting}, key=lambda it: it != row.status)
    return ", ".join("taken" if each == ACCEPTED else str(each) for each in statuses) or "–"


def written(page: str, ways: Sequence[Way]) -> str:
    """The page with the rows as they are now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(ways)}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), every_way()), encoding="utf-8")

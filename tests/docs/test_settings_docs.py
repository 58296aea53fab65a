"""settings.py, .env.example and the table of docs/operations.md say the same."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest
from pydantic import ValidationError

from taskchat.commands.cli import main as commands
from taskchat.settings import JWT_SECRET_BYTES_MIN, Settings, variable_name

UNITS = {"_s": "seconds", "_h": "hours", "_chars_max": "characters", "_bytes_max": "bytes"}
"""What the last word of a setting's name promises."""

OUT_OF_REACH = {True: "greater_than", False: "greater_than_equal"}
"""What pydantic calls a value below an open and below a closed bound."""

OTHER_BOUNDS = {
    "jwt_secret": f"at least {JWT_SECRET_BYTES_MIN} bytes",
    "accounts_secret": f"at least {JWT_SECRET_BYTES_MIN} bytes",
    "webhook_secret": "whsec_ and base64",
    "model_prices": "at least 0",
    "search_languages": "those that Postgres 15 knows",
}
"""Bounds that a validator checks, not the type."""


@dataclass(frozen=True)
class Told:
    """One setting, as some place tells of it."""

    default: str
    unit: str
    bound: str
    meaning: str


def bound_of(field: str) -> str:
    """The bound of a setting, in the words of the docs."""
    info = Settings.model_fields[field]
    if get_origin(info.annotation) is Literal:
        return ", ".join(get_args(info.annotation))
    limits = {
        name: getattr(constraint, name)
        for constraint in info.metadata
        for name in ("gt", "ge", "le")
        if hasattr(constraint, name)
    }
    if not limits:
        return OTHER_BOUNDS.get(field, "")
    low = f"over {limits['gt']:,}" if "gt" in limits else f"{limits['ge']:,}"
    return f"{low} to {limits['le']:,}"


def table(project: Path) -> dict[str, Told]:
    """The rows of the settings table."""
    page = (project / "docs/operations.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| `([A-Z_]+)` \| (.*?) \| (.*?) \| (.*?) ?\| (.*?) \|$", page, re.MULTILINE
    )
    names = [name for name, *_ in rows]
    assert len(names) == len(set(names)), "a variable has two rows"
    return {
        name: Told("" if default == "unset" else default.strip("`"), unit, bound, meaning)
        for name, default, unit, bound, meaning in rows
    }


def example(project: Path) -> dict[str, Told]:
    """The entries of .env.example: comment lines, `Unit: … Bound: …`, the variable."""
    told: dict[str, Told] = {}
    text = (project / ".env.example").read_text(encoding="utf-8")
    for entry in text.split("\n\n"):
        found = re.fullmatch(
            r"(?s)(# .+)\n# Unit: ([a-z]+)\.(?: Bound: (.+)\.)?\n(?:# )?([A-Z_]+)=(.*)",
            entry.strip(),
        )
        if found is None:
            assert not re.search(r"^(# )?[A-Z_]+=", entry, re.MULTILINE), f"unreadable:\n{entry}"
            continue
        meaning, unit, bound, name, default = found.groups()
        assert name not in told, f"{name} stands there twice"
        told[name] = Told(default, unit, bound or "", meaning)
    return told


@pytest.fixture(scope="module", params=["docs/operations.md", ".env.example"])
def told(request: pytest.FixtureRequest, project: Path) -> dict[str, Told]:
    return table(project) if request.param == "docs/operations.md" else example(project)


def test_every_setting_is_told_of_and_nothing_else_is(told: dict[str, Told]) -> None:
    assert list(told) == [variable_name(field) for field in Settings.model_fields]


@pytest.mark.parametrize("field", Settings.model_fields)
def test_a_setting_is_told_with_its_default_unit_and_bound(
    field: str, told: dict[str, Told]
) -> None:
    setting = told[variable_name(field)]
    default = Settings.model_fields[field].default
    assert setting.default == ("" if default is None else str(default))
    assert setting.bound == bound_of(field)
    assert setting.meaning
    for ending, unit in UNITS.items():
        if field.endswith(ending):
            assert setting.unit == unit


def test_the_table_and_the_example_give_the_same_units(project: Path) -> None:
    in_table, in_example = table(project), example(project)
    assert {name: told.unit for name, told in in_table.items()} == {
        name: told.unit for name, told in in_example.items()
    }


@pytest.mark.parametrize("uncommented", [False, True])
def test_the_example_as_a_file_changes_nothing(
    project: Path, tmp_path: Path, uncommented: bool
) -> None:
    text = (project / ".env.example").read_text(encoding="utf-8")
    if uncommented:
        text = re.sub(r"^# (?=[A-Z_]+=)", "", text, flags=re.MULTILINE)
    copy = tmp_path / ".env"
    copy.write_text(text, encoding="utf-8")
    assert Settings(_env_file=copy) == Settings(_env_file=None)


@pytest.mark.parametrize(
    "field", [field for field in Settings.model_fields if " to " in bound_of(field)]
)
def test_a_value_beyond_a_bound_is_refused(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    low, high = bound_of(field).replace(",", "").removeprefix("over ").split(" to ")
    for value in (int(low) - 1, int(high) + 1):
        monkeypatch.setitem(os.environ, variable_name(field), str(value))
        with pytest.raises(ValidationError) as refused:
            Settings(_env_file=None)
        assert [problem["type"] for problem in refused.value.errors()] == [
            "less_than_equal" if value > int(low) else OUT_OF_REACH[bound_of(field).startswith("o")]
        ]


def test_every_setting_has_a_description() -> None:
    assert not [name for name, info in Settings.model_fields.items() if not info.description]


def test_a_page_names_no_variable_that_does_not_exist(project: Path) -> None:
    known = {variable_name(field) for field in Settings.model_fields}
    # Options of commands, which are no settings of the service.
    known |= {
        parameter.envvar
        for command in commands.commands.values()
        for parameter in command.params
        if isinstance(parameter.envvar, str)
    }
    pages = [project / "README.md", project / "contracts/README.md", *project.glob("docs/**/*.md")]
    named = {
        name
        for page in pages
        for name in re.findall(r"\bTASKCHAT_[A-Z_]+[A-Z]\b", page.read_text(encoding="utf-8"))
    }
    assert named <= known, sorted(named - known)

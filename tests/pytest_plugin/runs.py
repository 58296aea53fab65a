"""Other people's test runs: pytest as a process of its own, with the plugin and nothing of ours."""

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import programs

RUN_S = 180
"""Much longer than a run takes; then it is given up."""

CONFIGURES = ("TASKCHAT_", "OPENAI_", "DATABASE_URL", "PYTEST_")


@dataclass(frozen=True)
class Run:
    """A test run that has ended."""

    code: int
    output: str

    def counts(self, **wanted: int) -> bool:
        """Whether that many passed, failed or ended in errors, and nothing else."""
        told = re.findall(
            r"^=* ?\d+ (?:passed|failed|error).* in [\d.]+s.*$", self.output, re.MULTILINE
        )
        words = told[-1].strip("= ").partition(" in ")[0].replace("errors", "error").split(", ")
        return {word.split()[1]: int(word.split()[0]) for word in words} == wanted


def command(*arguments: str) -> Sequence[str]:
    """Pytest with the plugin, which an installed package would bring by itself."""
    return (
        *(sys.executable, "-m", "pytest", "-p", "taskchat_pytest.plugin"),
        *("-p", "no:cacheprovider", "--basetemp", "run", *arguments),
    )


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """This process's, without what configures a service or the run that this is."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(CONFIGURES)}
    return {**kept, **variables}


async def run(folder: Path, *arguments: str, **variables: str) -> Run:
    """Run the tests of a folder to their end."""
    ended = await programs.run(*command(*arguments), folder=folder, env=environment(variables))
    return Run(ended.code, ended.out + ended.err)


def folder_with(folder: Path, tests: str, ini: str = "") -> Path:
    """A folder with tests, and pytest's configuration."""
    (folder / "test_it.py").write_text(tests, encoding="utf-8")
    (folder / "pytest.ini").write_text(f"[pytest]\n{ini}", encoding="utf-8")
    return folder


def noted(folder: Path) -> list[Any]:
    """What its tests wrote down, as JSON in files."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob("noted-*.json"))]

"""What the service is made of: its licences are known, and what an audit says is understood."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripts.licences import licence_of, listed, locked

FINE = {
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "PSF-2.0",
    "Unlicense",
}
"""Licences that somebody has looked at: none asks anything of whoever runs or ships the service but
to keep its text. MPL-2.0 asks for the sources of its own files, if they were changed."""

SOUND: dict[str, Any] = {"name": "sound", "version": "1.0", "vulns": []}

BROKEN: dict[str, Any] = {
    "name": "broken",
    "version": "2.0",
    "vulns": [{"id": "GHSA-x", "fix_versions": ["2.1"], "aliases": []}],
}

UNKNOWN: dict[str, Any] = {"name": "unknown", "skip_reason": "not found"}


def test_the_page_lists_the_licence_of_everything_that_serving_has(project: Path) -> None:
    told = listed((project / "docs/licences.md").read_text(encoding="utf-8"))
    assert list(told) == locked(project / "requirements.lock")
    for name, licence in told.items():
        # A package for another system is not here to be asked.
        assert licence_of(name) in (licence, None), "make licences"


def test_every_licence_is_one_that_somebody_has_looked_at(project: Path) -> None:
    told = listed((project / "docs/licences.md").read_text(encoding="utf-8"))
    for name, licence in told.items():
        asked = set(licence.replace(" AND ", " OR ").split(" OR "))
        assert asked <= FINE, f"{name}: {licence}"


Audit = Callable[[str], tuple[int, str]]


@pytest.fixture
def audit(project: Path, tmp_path: Path) -> Audit:
    """Runs the audit with a tool that prints this, and fails as the real one does."""

    def run(says: str) -> tuple[int, str]:
        tool = tmp_path / "pip-audit"
        tool.write_text(f"#!/bin/sh\ncat <<'END'\n{says}\nEND\nexit 1\n")
        tool.chmod(0o755)
        done = subprocess.run(
            [sys.executable, project / "scripts/audit.py", tool, "requirements.lock"],
            env=os.environ,
            capture_output=True,
            text=True,
        )
        assert done.stderr == ""
        return done.returncode, done.stdout

    return run


@pytest.mark.parametrize(
    ("packages", "code", "told"),
    [
        ([SOUND], 0, "1 packages asked for, 0 with known vulnerabilities"),
        ([SOUND, UNKNOWN], 0, "nobody knows of 1 packages"),
        ([SOUND, BROKEN], 1, "broken 2.0: GHSA-x, mended in 2.1"),
        ([UNKNOWN], 0, "nobody could be asked, so nothing was audited"),
    ],
)
def test_an_audit_fails_for_what_is_known_and_for_nothing_else(
    audit: Audit, packages: list[dict[str, Any]], code: int, told: str
) -> None:
    answered, printed = audit(json.dumps({"dependencies": packages}))
    assert answered == code
    assert told in printed


def test_an_audit_without_a_network_says_that_there_was_none(audit: Audit) -> None:
    assert audit("Could not resolve the name of the service.") == (
        0,
        "requirements.lock: nobody could be asked, so nothing was audited\n",
    )

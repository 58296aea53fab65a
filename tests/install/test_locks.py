"""The locks are complete, and pip takes what they name whatever an index serves."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from scripts.environment import PIP
from tests.install.locks import (
    ADDED,
    NEWER,
    SERVING,
    NewerIndex,
    read_lock,
    read_project,
    requirements_of,
)

Locks = Mapping[str, Sequence[Requirement]]
Environment = Mapping[str, str]

PYTHONS = ("3.11", "3.12", "3.13", "3.14")

SYSTEMS = (
    {"sys_platform": "linux", "os_name": "posix", "platform_system": "Linux"},
    {"sys_platform": "darwin", "os_name": "posix", "platform_system": "Darwin"},
    {"sys_platform": "win32", "os_name": "nt", "platform_system": "Windows"},
)

MACHINES = ("x86_64", "aarch64", "arm64", "AMD64")

ENVIRONMENTS = [
    {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "platform_machine": machine,
        **system,
    }
    for python, system, machine in product(PYTHONS, SYSTEMS, MACHINES)
]

PIP_S = 120
"""Much longer than pip takes to read an index on the same disk."""


@pytest.fixture(scope="module")
def locks(project: Path) -> Locks:
    return {lock: read_lock(project / lock) for lock in (SERVING, ADDED)}


def applies(requirement: Requirement, environment: Environment, extras: Iterable[str]) -> bool:
    """Whether a requirement counts there, where its package is asked for with these extras."""
    return requirement.marker is None or any(
        requirement.marker.evaluate({**environment, "extra": extra}) for extra in (*extras, "")
    )


def needed(asked: Sequence[Requirement], environment: Environment) -> dict[str, list[Requirement]]:
    """Everything that these requirements lead to, by name, with who asks for it how."""
    found: dict[str, list[Requirement]] = {}
    ahead = [requirement for requirement in asked if applies(requirement, environment, ())]
    while ahead:
        requirement = ahead.pop()
        known = found.setdefault(canonicalize_name(requirement.name), [])
        if requirement in known:
            continue
        known.append(requirement)
        ahead += [
            further
            for further in requirements_of(requirement.name) or ()
            if applies(further, environment, requirement.extras)
        ]
    return found


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda e: "-".join(e.values()))
def test_every_requirement_of_every_locked_package_is_locked_and_nothing_else_is(
    environment: Environment, locks: Locks, project: Path
) -> None:
    asked = read_project(project)
    for names, wanted in (
        ((SERVING,), asked.serving),
        ((SERVING, ADDED), [*asked.serving, *asked.developing]),
    ):
        locked: dict[str, list[Requirement]] = {}
        for pinned in (pinned for name in names for pinned in locks[name]):
            if applies(pinned, environment, ()):
                locked.setdefault(canonicalize_name(pinned.name), []).append(pinned)
        found = needed(wanted, environment)
        assert found.keys() - locked.keys() == set()
        # What this platform can't have installed may be asked for by what it can't have either.
        spare = locked.keys() - found.keys()
        assert not [name for name in spare if requirements_of(name) is not None]
        for name, requirements in found.items():
            [version] = {pin.version for pinned in locked[name] for pin in pinned.specifier}
            extras = {extra for pinned in locked[name] for extra in pinned.extras}
            for requirement in requirements:
                assert requirement.specifier.contains(version, prereleases=True), requirement
                assert requirement.extras <= extras, requirement


def test_what_the_second_lock_adds_is_not_in_the_first(locks: Locks) -> None:
    serving, added = ({pinned.name for pinned in locks[name]} for name in (SERVING, ADDED))
    assert serving
    assert added
    assert not serving & added


def test_the_locks_name_no_index(project: Path) -> None:
    for name in (SERVING, ADDED):
        assert "://" not in (project / name).read_text(encoding="utf-8")


# --- against an index that has something newer of everything ---


@pytest.fixture(scope="module")
def index(locks: Locks, tmp_path_factory: pytest.TempPathFactory) -> NewerIndex:
    return NewerIndex(tmp_path_factory.mktemp("index"), [*locks[SERVING], *locks[ADDED]])


@pytest.fixture
def would_install(index: NewerIndex, tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Has pip say what it would install from that index: versions by name."""

    def ask(requirements: str, *arguments: str) -> dict[str, str]:
        (tmp_path / "requirements").write_text(requirements, encoding="utf-8")
        done = subprocess.run(
            [
                *(sys.executable, *arguments, "--isolated", "--dry-run", "--ignore-installed"),
                *("--index-url", index.url, "--report", "-", "-r", tmp_path / "requirements"),
            ],
            # This machine's own ways to its index are not the test's.
            env={"PATH": os.environ["PATH"], "PIP_CONFIG_FILE": os.devnull},
            capture_output=True,
            text=True,
            timeout=PIP_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return {
            canonicalize_name(one["metadata"]["name"]): one["metadata"]["version"]
            for one in json.loads(done.stdout)["install"]
        }

    return ask


Installed = Callable[..., dict[str, str]]


RESOLVING = tuple(argument for argument in PIP if argument != "--no-deps")


@pytest.mark.parametrize("arguments", [PIP, RESOLVING], ids=["as make does", "by hand"])
def test_pip_takes_what_is_locked_though_newer_ones_are_served(
    arguments: Sequence[str], would_install: Installed, index: NewerIndex, locks: Locks
) -> None:
    locked = [*locks[SERVING], *locks[ADDED]]
    assert would_install(index.lock(locked), *arguments) == {
        canonicalize_name(pinned.name): version.version
        for pinned in locked
        for version in pinned.specifier
        if requirements_of(pinned.name) is not None
    }


def test_the_index_has_newer_ones(would_install: Installed) -> None:
    freely = [argument for argument in PIP if argument != "--require-hashes"]
    assert would_install("coverage\nsqlalchemy", *freely) == {
        "coverage": NEWER,
        "sqlalchemy": NEWER,
    }

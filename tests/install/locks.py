"""The locks as data, and an index that serves something newer than everything they name."""

import base64
import functools
import hashlib
import re
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

SERVING, ADDED = "requirements.lock", "requirements-dev.lock"

NEWER = "99999"
"""A version that any resolver would rather have."""


@dataclass(frozen=True)
class Project:
    """What the project itself asks for.

    Attributes:
        serving: Its dependencies, with the extras that bring Postgres and traces.
        developing: What its checks need besides.
    """

    serving: Sequence[Requirement]
    developing: Sequence[Requirement]


def read_project(top: Path) -> Project:
    """From `pyproject.toml`."""
    content = tomllib.loads((top / "pyproject.toml").read_text(encoding="utf-8"))
    project = content["project"]
    extras = project["optional-dependencies"]
    serving = [*project["dependencies"], *extras["embedded"], *extras["otel"]]
    return Project(
        [Requirement(line) for line in serving],
        [Requirement(line) for line in content["dependency-groups"]["dev"]],
    )


def read_lock(path: Path) -> list[Requirement]:
    """The pinned requirements of a lock, without their hashes."""
    lines = re.findall(r"^([a-z].*?) \\$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return [Requirement(line) for line in lines]


@functools.cache
def requirements_of(name: str) -> list[Requirement] | None:
    """What an installed package asks for; None where this platform has no such package."""
    try:
        return [Requirement(line) for line in metadata.requires(name) or ()]
    except metadata.PackageNotFoundError:
        return None


class NewerIndex:
    """An index in a folder: each installed package of some locks, empty, and a newer one of each.

    Args:
        folder: Where it is made.
        locked: What the locks name.
    """

    def __init__(self, folder: Path, locked: Sequence[Requirement]) -> None:
        self.url = folder.as_uri()
        self._hashes: dict[str, str] = {}
        for pinned in locked:
            name, [version] = canonicalize_name(pinned.name), pinned.specifier
            asked = requirements_of(name)
            if asked is None or name in self._hashes:
                continue
            place = folder / name
            place.mkdir(parents=True)
            self._hashes[name] = self._wheel(place, name, version.version, asked)
            self._wheel(place, name, NEWER, asked)

    def lock(self, locked: Sequence[Requirement]) -> str:
        """A lock of the same requirements with the hashes of this index."""
        return "\n".join(
            f"{pinned} --hash=sha256:{self._hashes[name]}"
            for pinned in locked
            if (name := canonicalize_name(pinned.name)) in self._hashes
        )

    @staticmethod
    def _wheel(place: Path, name: str, version: str, asked: Sequence[Requirement]) -> str:
        stem = f"{name.replace('-', '_')}-{version}"
        path, info = place / f"{stem}-py3-none-any.whl", f"{stem}.dist-info"
        files = {
            f"{info}/METADATA": "\n".join(
                (
                    "Metadata-Version: 2.1",
                    f"Name: {name}",
                    f"Version: {version}",
                    *(f"Provides-Extra: {extra}" for extra in extras_in(asked)),
                    *(f"Requires-Dist: {requirement}" for requirement in asked),
                )
            ),
            f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        record = [
            f"{file},{record_hash(content)},{len(content)}" for file, content in files.items()
        ]
        files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""])
        with zipfile.ZipFile(path, "w") as wheel:
            for file, content in files.items():
                wheel.writestr(file, content)
        with (place / "index.html").open("a", encoding="utf-8") as index:
            index.write(f'<a href="{path.name}">{path.name}</a>\n')
        return hashlib.sha256(path.read_bytes()).hexdigest()


def extras_in(asked: Sequence[Requirement]) -> Iterator[str]:
    """The extras that requirements belong to."""
    yield from sorted(
        {
            extra
            for requirement in asked
            for extra in re.findall(r'extra == "([^"]+)"', str(requirement.marker))
        }
    )


def record_hash(content: str) -> str:
    """As the file RECORD of a wheel has it."""
    digest = hashlib.sha256(content.encode()).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

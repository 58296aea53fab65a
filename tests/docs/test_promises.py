"""What the docs promise, and the tests that hold it: `tests/promises.yaml` names both truly."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

PROJECT = Path(__file__).resolve().parent.parent.parent
MANIFEST = PROJECT / "tests/promises.yaml"
GROUPS = [
    "turns",
    "identity",
    "accounts",
    "limits",
    "errors",
    "live",
    "models",
    "database",
    "install",
    "commands",
    "data",
    "usage",
]


class Promise(BaseModel):
    """One promise.

    Attributes:
        id: Its name.
        promise: What users may count on.
        where: The page that says so.
        tests: Those that hold it, as `path::function`.
        number: Its number under docs/promises.md.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    promise: Annotated[str, Field(pattern=r"\.$")]
    where: str
    # Promises without a test are the business of a test below, which names them all.
    tests: list[str] = []
    number: int | None = None


GROUPED = TypeAdapter(dict[str, list[Promise]]).validate_python(
    yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
)
PROMISES = [promise for group in GROUPED.values() for promise in group]


def functions(body: list[ast.stmt]) -> Iterator[str]:
    """The names of all functions at the top and in classes."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.ClassDef):
            yield from functions(node.body)


@cache
def named_in(path: str) -> frozenset[str]:
    """The tests of a file; none where there is no such file."""
    file = PROJECT / path
    if not file.name.startswith("test_") or not file.is_file():
        return frozenset()
    names = functions(ast.parse(file.read_text(encoding="utf-8")).body)
    return frozenset(name for name in names if name.startswith("test_"))


def test_the_groups_are_known_and_none_is_empty() -> None:
    assert list(GROUPED) == GROUPS
    assert all(GROUPED.values())


def test_every_promise_has_an_id_of_its_own() -> None:
    ids = [promise.id for promise in PROMISES]
    assert [id_ for id_ in ids if ids.count(id_) > 1] == []


def test_every_promise_is_made_on_a_page_that_exists() -> None:
    for promise in PROMISES:
        page = PROJECT / promise.where
        assert page.suffix == ".md", promise.id
        assert page.is_file(), promise.id


def test_every_promise_has_a_test() -> None:
    assert [promise.id for promise in PROMISES if not promise.tests] == []


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.id)
def test_every_test_that_is_named_exists(promise: Promise) -> None:
    assert len(set(promise.tests)) == len(promise.tests)
    for name in promise.tests:
        path, _, function = name.partition("::")
        assert function in named_in(path), f"{name} is gone; what holds “{promise.promise}” now?"


def test_every_numbered_promise_is_there_in_its_own_words() -> None:
    page = (PROJECT / "docs/promises.md").read_text(encoding="utf-8")
    section = page
    told = {
        int(number): " ".join(words.replace("`", "").split())
        for number, words in re.findall(
            r"^(\d+)\. (.+?)(?=^\d+\. |^$)", section, re.MULTILINE | re.DOTALL
        )
    }
    assert list(told) == list(range(1, 9))
    numbered = [promise for promise in PROMISES if promise.number is not None]
    assert len(numbered) == len(told)
    assert {promise.number: promise.promise for promise in numbered} == told
    assert {promise.where for promise in numbered} == {"docs/promises.md"}

"""docs/asvs.md has each requirement of its levels once, and names tests that exist."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.docs.test_promises import named_in

PROJECT = Path(__file__).resolve().parents[2]
PAGE = (PROJECT / "docs/asvs.md").read_text(encoding="utf-8")

UP_TO = {
    "1": {1: 2, 2: 9, 3: 11, 4: 3, 5: 2},
    "2": {1: 3, 2: 3, 3: 4, 4: 1},
    "3": {2: 2, 3: 4, 4: 6, 5: 5, 7: 2},
    "4": {1: 3, 2: 1, 3: 2, 4: 4},
    "5": {1: 1, 2: 3, 3: 2, 4: 3},
    "6": {1: 3, 2: 12, 3: 4, 4: 4, 5: 5, 6: 3, 8: 4},
    "7": {1: 3, 2: 4, 3: 2, 4: 5, 5: 2, 6: 2},
    "8": {1: 2, 2: 3, 3: 1, 4: 1},
    "9": {1: 3, 2: 4},
    "10": {1: 2, 2: 2, 3: 4, 4: 11, 5: 5, 6: 2, 7: 3},
    "11": {1: 2, 2: 3, 3: 3, 4: 4, 5: 1, 6: 1},
    "12": {1: 3, 2: 2, 3: 4},
    "13": {1: 1, 2: 5, 3: 2, 4: 5},
    "14": {1: 2, 2: 4, 3: 3},
    "15": {1: 3, 2: 3, 3: 7},
    "16": {1: 1, 2: 5, 3: 4, 4: 3, 5: 3},
    "17": {1: 1, 2: 4, 3: 2},
}
"""The highest number of levels 1 and 2 in each section of each chapter: in each they come first."""

REQUIREMENTS = [
    f"V{chapter}.{section}.{number}"
    for chapter, sections in UP_TO.items()
    for section, highest in sections.items()
    for number in range(1, highest + 1)
]


def rows() -> Iterator[tuple[list[str], str, str, list[str]]]:
    """The requirements of each row, what they are, why, and the tests."""
    for line in re.findall(r"^\| (V[0-9].*) \|$", PAGE, re.MULTILINE):
        ids, state, why, tests = line.split(" | ")
        yield ids.split(", "), state, why, re.findall(r"`([^`]+)`", tests)


def test_each_requirement_of_levels_1_and_2_stands_there_once() -> None:
    assert len(REQUIREMENTS) == 253
    told = [id_ for ids, *_ in rows() for id_ in ids]
    assert len(told) == len(set(told))
    assert set(told) == set(REQUIREMENTS)


def test_the_page_counts_right() -> None:
    count = {"met": 0, "operator": 0, "not met": 0, "–": 0}
    for ids, state, why, _ in rows():
        count[state] += len(ids)
        assert why.strip()
    met, operator, not_met, not_applicable = count.values()
    assert (
        f"Met: {met}. Operator: {operator}. Not met: {not_met}. Not applicable: {not_applicable}."
    ) in PAGE


def test_each_test_that_is_named_is_there_and_what_is_met_names_one_or_a_page() -> None:
    for ids, state, why, tests in rows():
        for test in tests:
            path, name = test.split("::")
            assert name in named_in(path), test
        if state == "met":
            assert tests or "](" in why or ids in BY_SIGHT, ids


BY_SIGHT = [["V7.4.4"], ["V14.3.1", "V14.3.3"]]
"""What is seen in the page, where its own tests use it all the time."""

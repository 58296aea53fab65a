"""Which calls need a yes: by tool, by count and by argument."""

from typing import Any

import pytest
from pydantic import ValidationError

from taskchat.assistant.approvals import ApprovalRule, Called, needing_approval

DELETE_MORE = ApprovalRule(tool="delete_task", more_than=1)
RENAME = ApprovalRule.model_validate({"tool": "update_task", "arguments": {"title": "(?i)tax"}})


def deletes(*ids: str) -> list[Called]:
    return [(id_, "delete_task", {"task_id": 1}) for id_ in ids]


@pytest.mark.parametrize(
    ("made", "decided", "asked"),
    [
        ([], deletes("a"), set()),
        ([], deletes("a", "b"), {"a", "b"}),
        (deletes("x"), deletes("a"), {"a"}),
        ([], [*deletes("a"), ("b", "add_task", {"title": "tax"})], set()),
        ([], [("a", "update_task", {"task_id": 1, "title": "My TAX return"})], {"a"}),
        ([], [("a", "update_task", {"task_id": 1, "title": "Milk"})], set()),
        ([], [("a", "update_task", {"task_id": 1, "description": "tax"})], set()),
        ([], [], set()),
    ],
)
def test_what_is_more_than_a_rule_allows_is_asked_about(
    made: list[Called], decided: list[Called], asked: set[str]
) -> None:
    assert needing_approval([DELETE_MORE, RENAME], made, decided) == asked


@pytest.mark.parametrize(
    "rule",
    [
        {"tool": "rm"},
        {"tool": "delete_task", "more_than": -1},
        {"tool": "delete_task", "arguments": {"task_id": "("}},
        {"tool": "delete_task", "when": 1},
        {},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ApprovalRule.model_validate(rule)

"""docs/security.md shows the rows that the tests send."""

import re

from tests.answers import CODES
from tests.hostile.table import PAGE, every_way, written

from taskchat.settings import Settings, variable_name


def test_the_page_has_every_row_with_what_each_way_in_answers() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == written(page, every_way()), "write it anew: python -m tests.hostile.table"


def test_the_page_names_every_limit_that_can_be_set() -> None:
    limits = {
        variable_name(field)
        for field in Settings.model_fields
        if re.search(
            r"_max$|_per_(minute|hour)$|_(timeout|stall)_s$|_concurrency$|_at_once$", field
        )
    }
    section = PAGE.read_text(encoding="utf-8").partition("## Limits")[2].partition("\n## ")[0]
    named = re.findall(r"`(TASKCHAT_[A-Z_]+)`", section)
    assert len(named) == len(set(named))
    assert set(named) == limits
    ours = {"overloaded", "database_error", "model_error", "timeout"}
    codes = ours.union(*CODES.values())
    told = re.findall(r"[0-9]{3} `([a-z_]+)`", section)
    assert len(told) >= 20
    assert set(told) <= codes

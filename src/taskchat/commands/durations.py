"""A span of time as people write it."""

import re

import click

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
SECONDS_MAX = 366 * 86_400
"""A token of a year is a mistake already."""


class Duration(click.ParamType[int]):
    """90s, 15m, 1h or 7d; in seconds."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Parse it, or say what would be accepted."""
        found = re.fullmatch(r"([0-9]{1,9})([smhd]?)", str(value))
        seconds = int(found[1]) * _UNITS[found[2] or "s"] if found else 0
        if not 0 < seconds <= SECONDS_MAX:
            self.fail("write it as 90s, 15m, 1h or 7d, at most 366d", param, ctx)
        return seconds

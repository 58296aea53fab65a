"""What is known about the sender; kept with the turn, whoever runs it."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

LANGUAGE_UNKNOWN: Final = "en"
"""The language if nothing says otherwise."""

_TIME_ZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{0,31}(/[A-Za-z0-9_+-]{1,32}){0,2}")


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known about the sender.

    Attributes:
        time_zone: The sender's time zone, by its IANA name.
        language: The language that they prefer to read, as a BCP 47 tag; None if nothing says.
        manner: How the offline model is to behave; None for its usual way.
        script: What the scripted model is to say; None if no script plays the model.
        trace: The span in which the message came in, as a W3C `traceparent`, if traces are sent.
    """

    time_zone: str = "UTC"
    language: str | None = None
    manner: str | None = None
    script: str | None = None
    trace: str | None = None

    @classmethod
    def restored(cls, stored: Mapping[str, str] | None) -> "Circumstances":
        """Restore what was kept.

        Another machine may have known time zones that this one lacks, and another release facts.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        kept = {name: fact for name, fact in (stored or {}).items() if name in known}
        if not is_time_zone(kept.get("time_zone", "UTC")):
            del kept["time_zone"]
        return cls(**kept)

    def stored(self) -> dict[str, str] | None:
        """What is kept with a turn; None if there is nothing to keep."""
        kept = {
            "time_zone": None if self.time_zone == "UTC" else self.time_zone,
            "language": self.language,
            "manner": self.manner,
            "script": self.script,
            "trace": self.trace,
        }
        return {key: value for key, value in kept.items() if value is not None} or None


def is_time_zone(name: str) -> bool:
    """Whether a time zone of that name exists."""
    if not _TIME_ZONE.fullmatch(name):
        return False
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True

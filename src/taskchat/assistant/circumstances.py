"""What a request says of its sender besides the message; kept with the turn, whoever runs it.

Hints never block a message: one that can't be used is as if it had not been sent.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from starlette.datastructures import Headers, QueryParams

from taskchat.assistant.offline.manner import Manner, MannerError
from taskchat.errors import Detail, InvalidRequest

TIME_ZONE_HEADER: Final = "Time-Zone"
"""As GitHub's API has it; HTTP itself has none."""

OFFLINE_HEADER: Final = "Offline-Model"
"""How the built-in model is to behave for this message, for those who build against it."""

LANGUAGE_HEADER: Final = "Accept-Language"
"""HTTP's own."""

HINTS: Final = frozenset({TIME_ZONE_HEADER, LANGUAGE_HEADER})
"""What a request may leave out and get wrong."""

LANGUAGE_UNKNOWN: Final = "en"
"""What is spoken where nothing says otherwise."""

_TIME_ZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{0,31}(/[A-Za-z0-9_+-]{1,32}){0,2}")
_LANGUAGE: Final = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8}){0,3}")
_WEIGHT: Final = re.compile(r"q=(0(\.\d{0,3})?|1(\.0{0,3})?)")


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known of who speaks.

    Attributes:
        time_zone: Theirs, by its IANA name.
        language: What they prefer to read, as a tag of BCP 47; None where nothing says.
        manner: How the offline model is to behave; None for its usual way.
    """

    time_zone: str = "UTC"
    language: str | None = None
    manner: str | None = None

    @classmethod
    def restored(cls, stored: Mapping[str, str] | None) -> "Circumstances":
        """From what was kept; another machine may have known time zones that this one does not."""
        kept = dict(stored or {})
        if not is_time_zone(kept.get("time_zone", "UTC")):
            del kept["time_zone"]
        return cls(**kept)

    def stored(self) -> dict[str, str] | None:
        """As it is kept with a turn; None where there is nothing to keep."""
        kept = {
            "time_zone": None if self.time_zone == "UTC" else self.time_zone,
            "language": self.language,
            "manner": self.manner,
        }
        return {key: value for key, value in kept.items() if value is not None} or None


def read_circumstances(
    headers: Headers, query: QueryParams, *, manner_allowed: bool
) -> Circumstances:
    """From the headers of a request; a socket's address has them too, as browsers set no headers.

    Args:
        headers: The first that names a time zone counts.
        query: Of the address: `time_zone` and `offline`; empty where only headers count.
        manner_allowed: Whether requests may say how the offline model behaves.

    Raises:
        InvalidRequest: no such manner. That is a developer's order and no hint.
    """
    zones = [*headers.getlist(TIME_ZONE_HEADER), *query.getlist("time_zone")]
    zone = next(filter(is_time_zone, zones), "UTC")
    language = preferred_language(",".join(headers.getlist(LANGUAGE_HEADER)))
    manner = headers.get(OFFLINE_HEADER) or query.get("offline")
    if manner is not None:
        if not manner_allowed:
            raise _refused("is not taken here; TASKCHAT_OFFLINE_HEADER=true allows it")
        try:
            Manner.parse(manner)
        except MannerError as error:
            raise _refused(str(error)) from None
    return Circumstances(zone, language, manner)


def _refused(problem: str) -> InvalidRequest:
    return InvalidRequest(
        f"The {OFFLINE_HEADER} header {problem}.",
        details=[Detail(f"header.{OFFLINE_HEADER}", problem)],
    )


def is_time_zone(name: str) -> bool:
    """Whether there is a time zone of that name."""
    if not _TIME_ZONE.fullmatch(name):
        return False
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def preferred_language(accept: str) -> str | None:
    """The tag that weighs most, the first of equals; None where there is none.

    Source: RFC 9110, section 12.5.4.
    """
    best, best_weight = None, 0.0
    for part in accept.split(","):
        tag, *parameters = (piece.strip() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            found = _WEIGHT.fullmatch(parameter.replace(" ", ""))
            weight = float(found[1]) if found else 0.0
        if weight > best_weight and _LANGUAGE.fullmatch(tag):
            best, best_weight = tag, weight
    return best

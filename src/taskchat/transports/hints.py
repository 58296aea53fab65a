"""What a request says about its sender besides the message.

Hints never block a message: one that can't be used is treated as if it had not been sent.
"""

import re
from typing import Final

from starlette.datastructures import Headers, QueryParams

from taskchat.assistant.circumstances import Circumstances, is_time_zone
from taskchat.assistant.models.manner import Manner, MannerError
from taskchat.errors import Detail, InvalidRequest
from taskchat.http.headers import LANGUAGE_HEADER, OFFLINE_HEADER, TIME_ZONE_HEADER
from taskchat.http.requests import weights

_LANGUAGE: Final = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8}){0,3}")


def read_circumstances(
    headers: Headers, query: QueryParams, *, manner_allowed: bool
) -> Circumstances:
    """Read a request's headers; a socket's address has them too, as browsers can't set headers.

    Args:
        headers: The first that names a time zone counts.
        query: Of the address: `time_zone` and `offline`; empty if only headers count.
        manner_allowed: Whether requests may say how the offline model behaves.

    Raises:
        InvalidRequest: no such manner. A manner is a developer's order, not a hint.
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


def preferred_language(accept: str) -> str | None:
    """The tag with the highest weight, the first of equals; None if there is none.

    Source: RFC 9110, section 12.5.4.
    """
    tags = {tag: weight for tag, weight in weights(accept) if weight and _LANGUAGE.fullmatch(tag)}
    return max(tags, key=tags.__getitem__, default=None)

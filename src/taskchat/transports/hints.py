"""What a request says about its sender besides the message.

Hints never block a message: one that can't be used is treated as if it had not been sent.
"""

import re
from typing import Final

from starlette.datastructures import Headers, QueryParams

from taskchat.assistant.circumstances import Circumstances, is_time_zone
from taskchat.assistant.models.manner import Manner, MannerError
from taskchat.assistant.models.scripted.reading import ScriptInvalid, parse_script
from taskchat.errors import Detail, InvalidRequest
from taskchat.http.headers import LANGUAGE_HEADER, OFFLINE_HEADER, SCRIPT_HEADER, TIME_ZONE_HEADER
from taskchat.http.requests import weights

_LANGUAGE: Final = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8}){0,3}")


def read_circumstances(
    headers: Headers, query: QueryParams, *, manner_allowed: bool, script_allowed: bool = False
) -> Circumstances:
    """Read a request's headers; a socket's address has them too, as browsers can't set headers.

    Args:
        headers: The first that names a time zone counts.
        query: Of the address: `time_zone`, `offline`, `script`; empty if only headers count.
        manner_allowed: Whether requests may say how the offline model behaves.
        script_allowed: Whether requests may bring a script of what the model says.

    Raises:
        InvalidRequest: no such manner, or no script. They are a developer's orders, not hints.
    """
    zones = [*headers.getlist(TIME_ZONE_HEADER), *query.getlist("time_zone")]
    zone = next(filter(is_time_zone, zones), "UTC")
    language = preferred_language(",".join(headers.getlist(LANGUAGE_HEADER)))
    manner = headers.get(OFFLINE_HEADER) or query.get("offline")
    if manner is not None:
        if not manner_allowed:
            raise _refused(
                OFFLINE_HEADER, "is not taken here; TASKCHAT_OFFLINE_HEADER=true allows it"
            )
        try:
            Manner.parse(manner)
        except MannerError as error:
            raise _refused(OFFLINE_HEADER, str(error)) from None
    script = _utf8(headers.get(SCRIPT_HEADER)) or query.get("script")
    if script is not None:
        if not script_allowed:
            raise _refused(
                SCRIPT_HEADER, "is not taken here; TASKCHAT_SCRIPT_ALLOWED=true allows it"
            )
        try:
            parse_script(script)
        except ScriptInvalid as error:
            raise _refused(SCRIPT_HEADER, str(error)) from None
    return Circumstances(zone, language, manner, script)


def _utf8(value: str | None) -> str | None:
    """A header's value as clients write it: HTTP has no encoding, and Starlette takes Latin-1."""
    return value and value.encode("latin-1").decode(errors="replace")


def _refused(header: str, problem: str) -> InvalidRequest:
    return InvalidRequest(
        f"The {header} header {problem}.", details=[Detail(f"header.{header}", problem)]
    )


def preferred_language(accept: str) -> str | None:
    """The tag with the highest weight, the first of equals; None if there is none.

    Source: RFC 9110, section 12.5.4.
    """
    tags = {tag: weight for tag, weight in weights(accept) if weight and _LANGUAGE.fullmatch(tag)}
    return max(tags, key=tags.__getitem__, default=None)

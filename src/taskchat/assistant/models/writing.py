"""What a vendor is asked, as JSON: byte by byte what OpenAI's client writes for the same.

The history is written apart, once for a run, and joins the rest of a request as bytes.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from agents.items import TResponseInputItem
from agents.models.chatcmpl_converter import Converter
from pydantic import BaseModel

HISTORY: Final = "history"
"""The argument of a request that holds the history; neither API has one of this name."""

FIRST: Final = ("model", "stream", "service_tier", "messages")
"""What the client writes first, in this order. The rest follows by name."""

Writer = Callable[[Sequence[TResponseInputItem]], bytes]
"""Writes items as an API takes them: the elements of a JSON list, without its brackets."""


def _plain(value: object) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_unset=True, by_alias=True)
    raise TypeError(f"{type(value).__name__} is no JSON")


_ENCODER: Final = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_plain
)


def _written(value: object) -> bytes:
    return _ENCODER.encode(value).encode()


def as_input(items: Sequence[TResponseInputItem]) -> bytes:
    """Write items for the Responses API, which takes them as they are."""
    return _written(items)[1:-1]


def as_messages(*, model: str, base_url: str) -> Writer:
    """A writer of items for the Chat Completions API, as the SDK converts them for this model."""

    def write(items: Sequence[TResponseInputItem]) -> bytes:
        return _written(Converter.items_to_messages(items, model=model, base_url=base_url))[1:-1]

    return write


def request_body(
    given: Mapping[str, Any], items: str, history: bytes, extra: Mapping[str, Any]
) -> bytes:
    """The body of a request.

    Args:
        given: Its members, in any order.
        items: The one that lists what the model reads.
        history: Elements that come first in this list, behind instructions if it begins with any.
        extra: Further members, which come last and replace those of the same name.
    """
    members = {name: given[name] for name in sorted(given, key=_place)}
    written = {name: _written(value) for name, value in {**members, **extra}.items()}
    if history:
        behind = 1 if given[items][0].get("role") == "system" else 0
        instructions, turn = given[items][:behind], given[items][behind:]
        written[items] = b"[%s]" % b",".join(
            [*map(_written, instructions), history, *map(_written, turn)]
        )
    return b"{%s}" % b",".join(
        b"%s:%s" % (_written(name), value) for name, value in written.items()
    )


def _place(name: str) -> tuple[int, str]:
    return (FIRST.index(name), "") if name in FIRST else (len(FIRST), name)

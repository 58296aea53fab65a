"""Fields of a vendor's answer, whatever shape they come in.

Other vendors of the same interface send lists for texts, objects for arguments, numbers for ids.
What can't be read counts as empty, and never crashes.
"""

import json
import math
from typing import Any, Final
from uuid import uuid4

from taskchat.texts import scrubbed

THOUGHT: Final = ("thinking", "reasoning")
"""Types of parts that hold what a model thinks, beside those that hold what it says."""

TOKENS_DIGITS_MAX: Final = 15
"""No vendor counts this far; Python refuses to read a number of some thousand digits."""


def dict_of(value: object) -> dict[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def list_of(value: object) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def text_of(value: object) -> str:
    """What is said: a text, or the texts of a list of parts, joined."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(text_of(part) for part in value)
    if not isinstance(value, dict) or value.get("type") in THOUGHT:
        return ""
    return text_of(value.get("text") or value.get("refusal") or value.get("value"))


def thought_of(value: object) -> str:
    """What is thought: the same, from the parts that hold it."""
    return "".join(
        text_of(next((part[name] for name in (*THOUGHT, "text") if part.get(name)), None))
        for part in map(dict_of, list_of(value))
        if part.get("type") in THOUGHT
    )


def word_of(value: object) -> str:
    """A name or an id; empty if there is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return scrubbed(value) if isinstance(value, str) else ""


def arguments_of(value: object) -> str:
    """The arguments of a call as text; objects are written out."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def count_of(value: object) -> int:
    """A number of tokens; 0 if the value can't be one."""
    if isinstance(value, str) and len(value) <= TOKENS_DIGITS_MAX:
        try:
            value = float(value)
        except ValueError:
            return 0
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return 0
    return max(0, int(value))


def new_call_id() -> str:
    """An id for a call that came without one."""
    return f"call_{uuid4().hex}"

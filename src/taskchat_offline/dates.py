"""Days and times inside a title. Only words are moved; no date is ever worked out."""

import re

_DAYS = (
    "mon(?:day)?|tue(?:s(?:day)?)?|wed(?:nesday)?|thu(?:rs(?:day)?)?|fri(?:day)?|"
    "sat(?:urday)?|sun(?:day)?"
)
_MONTHS = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    "sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
)
_DAY = re.compile(
    rf"\b(?:(?:next|this) )?(?:{_DAYS}|today|tomorrow|tonight|(?:next|this) (?:week|month))\b"
    rf"|\b\d{{1,2}}(?:st|nd|rd|th)? (?:of )?(?:{_MONTHS})\b"
    rf"|\b(?:{_MONTHS}) \d{{1,2}}(?:st|nd|rd|th)?\b",
    re.IGNORECASE,
)
_TIME = re.compile(r"\b(?:\d{1,2}(?:[:.]\d{2})? ?(?:am|pm)|\d{1,2}[:.]\d{2}|noon|midnight)\b", re.I)
_JOINT = re.compile(r"^(?:on|at|by|for|until|to) ", re.IGNORECASE)


def redated(title: str, wish: str, *, always: bool) -> str:
    """The new title when the wish is only a day or a time; else the wish itself.

    Args:
        title: The title as it is.
        wish: What the user wants instead: a whole title, or just "Thursday".
        always: The user spoke of moving the task, so the wish is a date in any case.
    """
    bare = _JOINT.sub("", wish)
    for pattern in (_DAY, _TIME):
        if pattern.fullmatch(bare) is None:
            continue
        found = pattern.search(title)
        if found is not None:
            return title[: found.start()] + bare + title[found.end() :]
        if always:
            joint = "" if bare.lower().startswith(("to", "next", "this")) else (
                "on " if pattern is _DAY else "at ")  # fmt: skip
            return f"{title} {wish if _JOINT.match(wish) else joint + bare}"
    return f"{title} {wish}" if always else wish

"""A title with some of its words changed. Only words are moved; no date is ever worked out."""

import re
from typing import Final

from taskchat_offline.matching import fit

_DAYS: Final = (
    "mon(?:day)?|tue(?:s(?:day)?)?|wed(?:nesday)?|thu(?:rs(?:day)?)?|fri(?:day)?|"
    "sat(?:urday)?|sun(?:day)?"
)
_MONTHS: Final = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    "sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
)
_DAY: Final = re.compile(
    rf"\b(?:(?:next|this) )?(?:{_DAYS}|today|tomorrow|tonight|(?:next|this) (?:week|month))\b"
    rf"|\b\d{{1,2}}(?:st|nd|rd|th)? (?:of )?(?:{_MONTHS})\b"
    rf"|\b(?:{_MONTHS}) \d{{1,2}}(?:st|nd|rd|th)?\b",
    re.IGNORECASE,
)
_TIME: Final = re.compile(
    r"\b(?:\d{1,2}(?:[:.]\d{2})? ?(?:am|pm)|\d{1,2}[:.]\d{2}|noon|midnight)\b", re.I
)
_JOINT: Final = re.compile(r"^(?:on|at|by|for|until|to) ", re.IGNORECASE)


def new_title(title: str, new: str, former: str, *, appended: bool) -> str:
    """The title as it is to be: `new`, or the title with `new` behind it or in place of `former`.

    Nothing if the title does not hold `former`, or if a number has no number to take the place of.
    """
    if appended:
        return f"{title} {new}"
    if former and not new:
        return " ".join(re.sub(re.escape(former), "", title, flags=re.IGNORECASE).split())
    if former:
        return exchanged(title, former, new)
    if new.isdecimal():
        return _NUMBERS.sub(new, title) if len(_NUMBERS.findall(title)) == 1 else ""
    return _redated(title, new)


_NUMBERS: Final = re.compile(r"\b\d{1,6}\b")


def exchanged(title: str, former: str, new: str) -> str:
    """The title with `new` for `former`.

    `new` may hold words that the title has anyway ("20 chairs" for "12"); it is the whole title
    when `former` names all of it.
    """
    place = title.casefold().find(former.casefold())
    if fit(title, former) >= 0.8:
        return new
    if place < 0:
        return new if fit(former, title) >= 0.6 else ""
    before, after = title[:place], title[place + len(former) :]
    words = new.split()
    ahead, behind = before.casefold().split(), after.casefold().split()
    kept = [word.casefold() for word in words]
    tail = next((n for n in range(min(len(kept) - 1, len(behind)), 0, -1)
                 if kept[-n:] == behind[:n]), 0)  # fmt: skip
    head = next((n for n in range(min(len(kept) - 1 - tail, len(ahead)), 0, -1)
                 if kept[:n] == ahead[-n:]), 0)  # fmt: skip
    words = words[head : len(words) - tail]
    return f"{before}{' '.join(words)}{after}"


def _redated(title: str, wish: str) -> str:
    """The new title when the wish is only a day or a time; else the wish itself."""
    bare = _JOINT.sub("", wish)
    for pattern in (_DAY, _TIME):
        if pattern.fullmatch(bare) is not None:
            found = pattern.search(title)
            if found is not None:
                return title[: found.start()] + bare + title[found.end() :]
    return wish

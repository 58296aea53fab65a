"""Which words of a task are to change, and how. Words are moved; no date is ever worked out."""

import re
from dataclasses import dataclass
from typing import Final

from taskchat_offline.history import ToolCall
from taskchat_offline.matching import Task, alike, fit
from taskchat_offline.reading import Act
from taskchat_offline.words import CLASSES, NUMBER, kind_of

_JOINT: Final = re.compile(r"^(?:on|at|by|for|until|to) ", re.IGNORECASE)

ALIKE: Final = 0.8
"""Words this much alike or more are the same or mean the same; less, but some, is a slip."""


@dataclass(frozen=True, slots=True)
class Edit:
    """New words for a task: a title (what takes the place of `former`), or a description."""

    title: str = ""
    description: str | None = None
    former: str = ""
    appended: bool = False
    dropped: bool = False


def edit_of(act: Act) -> Edit:
    """The change that a part of a message asks for."""
    dropping = bool(CLASSES["delete"] & set(act.keys))
    if act.label == "describe":
        cleared = "" if dropping or {"empty", "blank"} & set(act.keys) else None
        return Edit(description=act.first("D") or cleared)
    if act.first("P"):
        return Edit(title=act.first("P"), appended=True)
    dropped = bool(dropping and act.first("F") and not act.first("N"))
    return Edit(title=act.first("N"), former=act.first("F"), dropped=dropped)


def edited(edit: Edit, task: Task) -> ToolCall | None:
    """The call that makes the change; None if it is not clear what the words should be."""
    arguments: dict[str, object] = {"task_id": task.id}
    if edit.title or edit.dropped:
        title = new_title(task.title, edit.title, edit.former, appended=edit.appended)
        if not title:
            return None
        arguments["title"] = title
    if edit.description is not None:
        arguments["description"] = edit.description
    return ToolCall("update_task", arguments) if len(arguments) > 1 else None


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
    return _put_in(title, new)


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


def _put_in(title: str, new: str) -> str:
    """The title with `new` in place of what is like it, else `new`.

    Like it is a word spelled nearly the same, or what is of its kind: a day, a time, a number
    ("5 litres" for "2 litres").
    """
    wish = _JOINT.sub("", new).split()
    words, size = title.split(), len(wish)
    kinds = [kind_of(_bare(word)) for word in wish]

    def like(first: int) -> bool:
        pairs = zip(words[first : first + size], wish, kinds, strict=False)
        return all(
            kind_of(_bare(old)) == kind if kind else _bare(old) == _bare(w)
            for old, w, kind in pairs
        )

    places = [n for n in range(len(words) - size + 1) if like(n)] if any(kinds) else []
    if size == 1 and not places and not kinds[0]:
        places = [n for n, word in enumerate(words) if 0 < alike(_bare(word), _bare(new)) < ALIKE]
    if wish and len(places) == 1:
        return " ".join([*words[: places[0]], *wish, *words[places[0] + size :]])
    return "" if kinds == [NUMBER] else new


def _bare(word: str) -> str:
    return word.casefold().strip('.,!?"“”')

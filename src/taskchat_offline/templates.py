"""Orders in set forms, each held against the list: one that names no single task is none.

A form is a sentence with gaps: the task, the old words and the new ones, the description. It
counts only when its gaps fit the list: the task is one task, its title holds the old words.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from taskchat_offline.forms import FORMS
from taskchat_offline.intents import Change, Edit, Intent
from taskchat_offline.matching import Memory, Task, holding, resolve
from taskchat_offline.naming import ids_of
from taskchat_offline.normalise import tokens_of
from taskchat_offline.references import reference_of

_ARTICLES = ("the ", "a ", "an ", "my ")
_MORE = re.compile(
    r"(?:\b(?:and|then|also)|[.;!?,])(?: (?:and|then|also|please))* (?:add|create|delete|remove|"
    r"mark|"
    r"tick|complete|rename|change|remind|show|undo|wait|don't|never mind)\b|\bor not$",
    re.IGNORECASE,
)
"""What tells that the message goes on with another order, which no form may swallow."""

_ALIKE_MIN = 0.6
"""Likeness from which one word is taken for another's right spelling."""


@dataclass(frozen=True, slots=True)
class _Gaps:
    """What fills the gaps of a form, empty where it has none."""

    task: str = ""
    old: str = ""
    new: str = ""
    title: str = ""
    described: str = ""

    @classmethod
    def of(cls, found: re.Match[str]) -> "_Gaps":
        """The gaps as typed, without quotation marks around them."""
        return cls(**{k: (v or "").strip() for k, v in found.groupdict().items()})


def fits_form(text: str) -> bool:
    """Whether the message has one of the set forms, whatever is on the list."""
    return any(pattern.match(_plain(text)) for _, pattern in FORMS)


def templated(text: str, tasks: Sequence[Task], memory: Memory) -> tuple[Intent, ...] | None:
    """What the message orders in a set form, or None.

    Args:
        text: The user's message.
        tasks: All tasks of the user.
        memory: What earlier turns were about.
    """
    said = _plain(text)
    for kind, pattern in FORMS:
        found = pattern.match(said)
        if found is None or any(_MORE.search(gap) for gap in found.groupdict().values() if gap):
            continue
        made = _READ[kind](_Gaps.of(found), tasks, memory)
        if made is not None:
            return (made,)
    return None


def _plain(text: str) -> str:
    return " ".join(text.replace("’", "'").replace("‘", "'").split())


def _bare(words: str) -> str:
    """The words without the quotation marks and stops around them."""
    words = words.strip().rstrip(".!?,;").strip()
    quoted = len(words) > 2 and words[0] in "\"'“" and words[-1] in "\"'”"
    return words[1:-1].strip() if quoted else words.strip('"“”')


def _one(words: str, tasks: Sequence[Task], memory: Memory) -> Task | None:
    """The one task that the words name."""
    tokens = tokens_of(words)
    if not tokens:
        return None
    target = reference_of(words, tokens, whole=False)
    if target.naming in {"vague", "every", "other"}:
        return None
    match = resolve(target, tasks, memory)
    return match.tasks[0] if len(match.tasks) == 1 and not match.missing else None


def _exchanged(task: Task | None, old: str, new: str) -> Edit | None:
    """The task's title with the new words for the old ones, articles kept or dropped alike."""
    old, new = _bare(old), _bare(new)
    if task is None or not old or not new:
        return None
    for first, second in ((old, new), (_unarticled(old), _unarticled(new))):
        place = re.search(rf"(?<!\w){re.escape(first)}(?!\w)", task.title, re.IGNORECASE)
        if place is not None:
            title = task.title[: place.start()] + second + task.title[place.end() :]
            return _entitled(task, title)
    return None


def _unarticled(words: str) -> str:
    low = words.casefold()
    return next((words[len(a) :] for a in _ARTICLES if low.startswith(a)), words)


def _entitled(task: Task, title: str, description: str | None = None) -> Edit | None:
    title = " ".join(title.split())
    if not title:
        return None
    return Edit(ids_of([task]), title=title, description=description, replaced=task.title)


def _exchange(gaps: _Gaps, tasks: Sequence[Task], memory: Memory) -> Intent | None:
    new = gaps.new
    lead, _, rest = new.partition(" ")
    if lead.casefold() in {"on", "at", "in", "for", "to"} and rest:
        new = rest if not gaps.old.casefold().startswith(f"{lead.casefold()} ") else new
    return _exchanged(_one(gaps.task, tasks, memory), gaps.old, new)


def _word_dropped(gaps: _Gaps, tasks: Sequence[Task], memory: Memory) -> Intent | None:
    task = _one(gaps.task, tasks, memory)
    old = _bare(gaps.old)
    if task is None or not old:
        return None
    place = re.search(rf"(?<!\w){re.escape(old)}(?!\w)", task.title, re.IGNORECASE)
    if place is None:
        return None
    return _entitled(task, (task.title[: place.start()] + task.title[place.end() :]).strip(" ,-"))


def _blanked(gaps: _Gaps, tasks: Sequence[Task], memory: Memory) -> Intent | None:
    task = _one(gaps.task, tasks, memory)
    # "Delete the notes for chemistry" may name a task of that title.
    titled = any(re.search(r"\b(?:description|notes?|details?)\b", t.plain) for t in tasks)
    return None if task is None or titled else Edit(ids_of([task]), description="")


def _described(gaps: _Gaps, tasks: Sequence[Task], memory: Memory) -> Intent | None:
    task = _one(gaps.task or "it", tasks, memory)
    words = _bare(gaps.described)
    return None if task is None or not words else Edit(ids_of([task]), description=words)


def _both(gaps: _Gaps, tasks: Sequence[Task], memory: Memory) -> Intent | None:
    task = _one(gaps.task, tasks, memory)
    title, words = _bare(gaps.title), _bare(gaps.described)
    return None if task is None or not words else _entitled(task, title, words)


def _respelled(gaps: _Gaps, tasks: Sequence[Task], memory: Memory) -> Intent | None:
    title = _bare(gaps.title)
    held = holding(_bare(gaps.task), tasks, memory).tasks
    if len(held) == 1 and held[0].plain != _bare(gaps.task).casefold():
        # A word of one title: that word alone was wrong.
        return _exchanged(held[0], gaps.task, title)
    task = _one(gaps.task, tasks, memory)
    if task is None or not title:
        return None
    if len(title.split()) == 1 < len(task.title.split()):
        return _exchanged(task, _nearest(title, task.title), title)
    return _entitled(task, title)


def _nearest(word: str, title: str) -> str:
    """The word of the title that is most like `word`, or none."""
    scored = [
        (SequenceMatcher(None, word.casefold(), w.casefold()).ratio(), w) for w in title.split()
    ]
    score, nearest = max(scored)
    return nearest if score >= _ALIKE_MIN else ""


def _renamed(gaps: _Gaps, tasks: Sequence[Task], memory: Memory) -> Intent | None:
    task = _one(gaps.task, tasks, memory)
    return None if task is None else _entitled(task, _bare(gaps.title))


def _completed(gaps: _Gaps, tasks: Sequence[Task], memory: Memory) -> Intent | None:
    task = _one(gaps.task, tasks, memory)
    return None if task is None else Change("complete", ids_of([task]))


def _deleted(gaps: _Gaps, tasks: Sequence[Task], memory: Memory) -> Intent | None:
    task = _one(gaps.task, tasks, memory)
    return None if task is None else Change("delete", ids_of([task]))


_READ: dict[str, Callable[[_Gaps, Sequence[Task], Memory], Intent | None]] = {
    "exchange": _exchange,
    "drop": _word_dropped,
    "blank": _blanked,
    "describe": _described,
    "both": _both,
    "respell": _respelled,
    "rename": _renamed,
    "complete": _completed,
    "delete": _deleted,
}

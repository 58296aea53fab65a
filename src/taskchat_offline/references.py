"""How tasks are named, and which tasks that names. Never guesses between two that fit alike."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from taskchat_offline.matching import (
    Task,
    Titles,
    best_fits,
    content,
    fitting,
    plain,
    share_held,
    with_status,
)
from taskchat_offline.text import Token, text_of
from taskchat_offline.words import CLASSES, numbers_of

Naming = Literal["words", "ids", "places", "pronoun", "every", "newest", "other", "vague"]
"""How a task was named: by words, number, place in the list, "it", a whole group, ..."""

NAMED_MAX: Final = 50
"""Tasks that one request may name, or a range hold; as many calls as one response may hold."""

_COUNTED: Final = numbers_of("numbers.txt")
_PLACES: Final = numbers_of("places.txt")
_NOUNS, _DEICTIC = CLASSES["nouns"], CLASSES["deictic"]
_POINTING, _PLURAL, _WHOLE = CLASSES["pointing"], CLASSES["plural"], CLASSES["whole"]
_DONE, _OPEN, _NUMBERING = CLASSES["statedone"], CLASSES["stateopen"], CLASSES["numbering"]
_MANY: Final = frozenset(noun for noun in _NOUNS if noun.endswith("s")) | {"stuff", "entries"}
_ON_LIST, _GROUPED = CLASSES["onlist"], CLASSES["grouped"]
_EXCEPT: Final = tuple(tuple(words.split("_")) for words in sorted(CLASSES["except"]))
_RANGE: Final = re.compile(r"(\d{1,6})[-–](\d{1,6})")


@dataclass(frozen=True, slots=True)
class Reference:
    """Tasks as the user named them.

    `numbers` are ids, or places from 1 (from the end when negative). `status` narrows places and
    groups, `plural` tells "the finished ones" from "the finished one". `parts` are the pieces when
    the words can also be read as several names, `excluded` is what is left out of a group.
    """

    naming: Naming
    words: str = ""
    numbers: tuple[int, ...] = ()
    status: str = "all"
    plural: bool = False
    parts: tuple["Reference", ...] = ()
    excluded: "Reference | None" = None


@dataclass(frozen=True, slots=True)
class Memory:
    """What earlier turns were about, as ids, latest first where order matters.

    `focus` are the tasks spoken of last, `shown` the last list the user saw, `newest` the task
    added last in this conversation; `acted` are those that the turn itself changed so far.
    """

    focus: tuple[int, ...] = ()
    shown: tuple[int, ...] = ()
    newest: int | None = None
    acted: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """The tasks named; or those it could be (`unclear`); or the names that fit none."""

    tasks: tuple[Task, ...] = ()
    unclear: tuple[Task, ...] = ()
    missing: tuple[str, ...] = ()
    pointless: bool = False


def reference_of(text: str, tokens: Sequence[Token], *, whole: bool = True) -> Reference:
    """How the tokens name tasks; `whole` when they may also be several names."""
    rest = [t for t in tokens if t.kind != "mark" or t.key in {",", "&", "#", "\n", ";"}]
    while rest and rest[0].kind == "mark" and rest[0].key != "#":
        rest = rest[1:]
    while rest and rest[-1].kind == "mark":
        rest = rest[:-1]
    if (excepting := _excepting(text, rest)) is not None:
        return excepting
    quotes = [token for token in rest if token.kind == "quote"]
    around = {t.key for t in rest if t.kind != "quote"}
    if len(quotes) == 1 and around <= _DEICTIC | _NOUNS | {"called", "named"}:
        return Reference("words", quotes[0].text)
    if len(rest) > 2 and rest[0].key == "both" and around & {"and", "&"}:
        rest = rest[1:]
    keys = [token.key.removesuffix("'s") for token in rest]
    for special in (_pointed, _numbers, _newest, _places, _group):
        if (found := special(keys)) is not None:
            return found
    if keys[:1] and keys[0] in {"all", "every", "each"} and set(keys) & _NOUNS:
        said = [token for token in rest if token.key not in _WHOLE | {"of"}]
        return Reference("every", text_of(text, said), plural=True)
    if set(keys) <= _NOUNS | _DEICTIC | {"something", "list"}:
        spoken_of = not keys or {"the", "that", "this"} & set(keys)
        return Reference("pronoun" if spoken_of else "vague")
    named = text_of(text, rest).removesuffix("'s").removesuffix("’s")
    return Reference("words", named, parts=_parts(text, rest) if whole else ())


def pointed_at(tokens: Sequence[Token]) -> Reference:
    """What a request without a name points at: "tick them both off", "delete everything"."""
    keys = {token.key for token in tokens}
    listed = keys & {"list", "lot"} and keys & {"whole", "entire", "clear", "wipe", "lot"}
    grouped = keys & _MANY and keys & (_WHOLE | _DONE | _OPEN)
    if "everything" in keys or ((listed or grouped) and not keys & {"it", "that"}):
        done = bool(keys & {"finished", "completed", "done"}) and not keys & {"mark", "as"}
        status = "completed" if done else "pending" if keys & _OPEN else "all"
        return Reference("every", status=status, plural=True)
    if "other" in keys and keys & _NOUNS:
        return Reference("other")
    many = keys & _PLURAL
    counted = (2,) if {"both", "two"} & many else (3,) if "three" in many else ()
    return Reference("pronoun", "all" if "all" in keys else "", counted, plural=bool(many))


def _excepting(text: str, tokens: Sequence[Token]) -> Reference | None:
    """Reads “everything except the rent”: cut at the first exception only, or texts get slow."""
    keys = [token.key for token in tokens]
    for place in range(1, len(keys) - 1):
        size = max((len(w) for w in _EXCEPT if tuple(keys[place : place + len(w)]) == w), default=0)
        if not size:
            continue
        kept = reference_of(text, tokens[:place], whole=False)
        if kept.naming != "every" or place + size >= len(tokens):
            return None
        spared = reference_of(text, tokens[place + size :])
        return Reference("every", kept.words, status=kept.status, plural=True, excluded=spared)
    return None


def _parts(text: str, tokens: Sequence[Token]) -> tuple[Reference, ...]:
    pieces: list[list[Token]] = [[]]
    for token in tokens:
        if token.key in {"and", ",", "&", "plus", ";", "\n"} and token.kind != "quote":
            pieces.append([])
        else:
            pieces[-1].append(token)
    named = [piece for piece in pieces if piece]
    if not 2 <= len(named) <= NAMED_MAX:
        return ()
    parts = tuple(reference_of(text, piece, whole=False) for piece in named)
    # "drop everything and call mom" is no order to delete all tasks.
    return () if any(part.naming == "every" and not part.words for part in parts) else parts


def _pointed(keys: Sequence[str]) -> Reference | None:
    core = {key for key in keys if key not in _NOUNS | {"of", "just", "the"}}
    if "other" in core and keys[0] in {"the", "other", "my"} and len(core) < 4:
        return Reference("other", " ".join(key for key in keys if key in core - {"other"}))
    if not core or not core <= _POINTING | {"all", "two"} or not (
        core & _POINTING or (core == {"two"} and keys[0] == "the")
    ):  # fmt: skip
        return None
    counted = (2,) if {"both", "two"} & core else ()
    many = bool(core & (_PLURAL | {"all", "two"}))
    return Reference("pronoun", "all" if "all" in core else "", counted, plural=many)


def _numbers(keys: Sequence[str]) -> Reference | None:
    numbers: list[int] = []
    labelled = ranged = spelled = False
    for key in keys:
        span = _RANGE.fullmatch(key)
        counted = _COUNTED.get(key, 0) if labelled or key != "one" else 0
        if span is not None or counted or (key.isdecimal() and len(key) <= 9):
            first = int(span[1]) if span else counted or int(key)
            last = int(span[2]) if span else first
            first = numbers[-1] + 1 if ranged else first
            numbers += range(first, last + 1) if last - first < NAMED_MAX else [last]
            ranged, spelled = False, spelled or bool(counted)
        elif key in _NOUNS | _NUMBERING:
            labelled = True
        elif key in {"to", "through", "-", "–", "thru"} and numbers:
            ranged = True
        elif key not in CLASSES["linking"]:
            return None
    if not numbers or ranged or (spelled and not labelled and len(numbers) > 1):
        return None
    return Reference("ids", numbers=tuple(dict.fromkeys(numbers)), plural=len(numbers) > 1)


def _newest(keys: Sequence[str]) -> Reference | None:
    added = CLASSES["added"]
    known = set(keys) <= _NOUNS | _DEICTIC | added | CLASSES["whichadded"]
    named = set(keys) & added and set(keys) & (_NOUNS | {"last"})
    return Reference("newest") if known and named else None


def _places(keys: Sequence[str]) -> Reference | None:
    core = [key for key in keys if key not in _DEICTIC | _NOUNS | _ON_LIST]
    places: list[int] = []
    status, count = "all", 1
    for place, key in enumerate(core):
        if key in _PLACES:
            places.append(_PLACES[key])
        elif (key in _COUNTED or key.isdecimal()) and places and len(key) < 6:
            if "of" not in keys:
                count = min(_COUNTED.get(key, 0) or int(key), NAMED_MAX)
        elif key in _OPEN | _DONE:
            status = "completed" if key in _DONE else "pending"
        elif key == "but" and places == [-1]:
            places = [-2]
        elif key == "to" and places and core[place + 1 : place + 2] == ["last"]:
            places[-1] = -places[-1]
        elif key not in CLASSES["betweenplaces"]:
            return None
    if not places:
        return None
    if len(places) == 2 and places[0] < 0 and places[1] == -1:
        places = places[:1]
    if count > 1 and len(places) == 1:
        places = list(range(1, count + 1) if places[0] > 0 else range(-count, 0))
    return Reference("places", numbers=tuple(places), status=status, plural=len(places) > 1)


def _group(keys: Sequence[str]) -> Reference | None:
    found = set(keys)
    stated = found & (_DONE | _OPEN)
    known = _WHOLE | _DONE | _OPEN | _NOUNS | _DEICTIC | _GROUPED | set(_COUNTED)
    plural = bool(found & (_WHOLE | _MANY))
    if not found & (_WHOLE | stated) or not found <= known or not (plural or found & _NOUNS):
        return None
    done = stated & _DONE and not found & {"not", "yet", "aren't", "isn't", "haven't"}
    return Reference(
        "every", status="completed" if done else "pending" if stated else "all", plural=plural
    )


def _one_of(tasks: Sequence[Task]) -> Match:
    """The only one; or it is unclear which."""
    return Match(tuple(tasks)) if len(tasks) == 1 else Match(unclear=tuple(tasks))


def resolve(
    reference: Reference, titles: Titles, memory: Memory, *, prefer_open: bool = False
) -> Match:
    """The tasks that the reference names, in the order named.

    With `prefer_open`, a finished task does not compete with an open one.
    """
    if not titles.tasks and reference.naming not in {"ids", "words"}:
        return Match(pointless=True)
    return _Resolving(titles, memory, prefer_open).match(reference)


class _Resolving:
    def __init__(self, titles: Titles, memory: Memory, prefer_open: bool) -> None:
        self.titles = titles
        self.tasks = titles.tasks
        self.known = {task.id: task for task in titles.tasks}
        self.memory = memory
        self.prefer_open = prefer_open

    def match(self, named: Reference) -> Match:
        match named.naming:
            case "ids":
                missing = tuple(f"task {n}" for n in named.numbers if n not in self.known)
                return Match(self._with_ids(named.numbers), missing=missing)
            case "places":
                return self._placed(named)
            case "every":
                return self._grouped(named)
            case "newest":
                return Match(self._with_ids((self.memory.newest,)) or self.tasks[-1:])
            case "pronoun":
                return self._pointed(named)
            case "other":
                shown = self._with_ids(self.memory.shown)
                rows = shown if len(shown) == 2 else self.tasks
                near = self.memory.acted or self.memory.focus
                fits = fitting(named.words, rows) if named.words else rows
                return _one_of([task for task in fits if task.id not in near])
            case "vague":
                return Match(unclear=self.tasks)
            case "words":
                return self._worded(named)

    def _with_ids(self, ids: Sequence[int | None]) -> tuple[Task, ...]:
        return tuple(self.known[n] for n in ids if n in self.known)

    def _still(self, tasks: Sequence[Task]) -> list[Task]:
        return [task for task in tasks if not (self.prefer_open and task.completed)]

    def _placed(self, named: Reference) -> Match:
        shown = self._with_ids(self.memory.shown)
        rows = with_status(shown if shown and named.status == "all" else self.tasks, named.status)
        found: list[Task] = []
        missing: list[str] = []
        for place in named.numbers:
            # "The middle one" is a place only in a list that has one.
            middle = len(rows) // 2 if len(rows) % 2 else len(rows)
            index = middle if place == 0 else place - 1 if place > 0 else place
            if -len(rows) <= index < len(rows):
                found.append(rows[index])
            else:
                missing.append(f"number {place}" if place > 0 else "that one")
        return Match(tuple(found), missing=tuple(missing))

    def _grouped(self, named: Reference) -> Match:
        rows = with_status(self.tasks, named.status)
        if named.words:
            rows = fitting(named.words, rows)
            if not rows:
                return Match(missing=(named.words,))
        if named.excluded is not None:
            spared = self.match(named.excluded)
            if spared.unclear or spared.missing:
                return spared
            rows = [task for task in rows if task not in spared.tasks]
        if not named.plural:
            return _one_of(rows) if rows else Match(pointless=True)
        rows = self._still(rows)
        return Match(tuple(rows), pointless=not rows)

    def _pointed(self, named: Reference) -> Match:
        focus = self._with_ids(self.memory.focus)
        if named.numbers == (len(self.tasks),) and len(focus) != len(self.tasks):
            focus = self.tasks
        if named.plural and not focus:
            return (
                Match(tuple(self._still(self.tasks))) if named.words else Match(unclear=self.tasks)
            )
        if named.plural:
            return Match(focus)
        return _one_of((self._still(focus) if len(focus) > 1 else focus) or focus or self.tasks)

    def _worded(self, named: Reference) -> Match:
        wanted, said = plain(named.words), content(named.words)
        same = [task for task in self.tasks if task.plain == wanted]
        found = same or best_fits(named.words, self.titles)
        if len(found) > 1:
            found = self._still(found) or found
        if len(found) == 1 and (same or not named.parts):
            return Match((found[0],))
        if named.parts:
            pieces = [self.match(part) for part in named.parts]
            tasks = tuple(dict.fromkeys(task for piece in pieces for task in piece.tasks))
            unclear = next((piece.unclear for piece in pieces if piece.unclear), ())
            missing = tuple(name for piece in pieces for name in piece.missing)
            whole = len(found) == 1 and share_held(said, found[0].words) >= 0.99
            if not unclear and not missing:
                return Match(tasks)
            if (tasks or unclear) and not whole:
                return Match(tasks, unclear, missing)
        return _one_of(found) if found else Match(missing=(named.words,))

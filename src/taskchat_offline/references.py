"""How tasks are named, and which tasks that names. Never guesses between two that fit alike."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from taskchat_offline.matching import (
    FIT_MIN,
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

PARTS_MAX: Final = 30
"""Names in one request."""

RANGE_MAX: Final = 50
"""Ids one range may name; as many calls as one response may hold."""

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

    Attributes:
        naming: How.
        words: The words, if they are named by words.
        numbers: Ids, or places from 1 (from the end when negative).
        status: Narrows places and groups.
        plural: Tells "the finished ones" from "the finished one".
        parts: The pieces when the words can also be read as several names.
        excluded: What is left out of a group.
    """

    naming: Naming
    words: str = ""
    numbers: tuple[int, ...] = ()
    status: str = "all"
    plural: bool = False
    parts: tuple["Reference", ...] = ()
    excluded: "Reference | None" = None


PRONOUN: Final = Reference("pronoun")
"""The task spoken of, when nothing else is named."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What earlier turns were about: ids, latest first where order matters.

    Attributes:
        focus: The tasks spoken of last.
        shown: The last list the user saw.
        newest: The task added last in this conversation.
        acted: The tasks that the turn itself changed so far.
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
    while rest and (rest[0].kind == "mark" and rest[0].key != "#"):
        rest = rest[1:]
    while rest and rest[-1].kind == "mark":
        rest = rest[:-1]
    excepting = _excepting(text, rest)
    if excepting is not None:
        return excepting
    quotes = [token for token in rest if token.kind == "quote"]
    if len(quotes) == 1 and all(
        t in quotes or t.key in _DEICTIC | _NOUNS | {"called", "named"} for t in rest
    ):
        return Reference("words", quotes[0].text)
    if len(rest) > 2 and rest[0].key == "both" and any(t.key in {"and", "&"} for t in rest):
        rest = rest[1:]
    keys = [token.key.removesuffix("'s") for token in rest]
    special = (
        _pointed(keys)
        or _numbers(keys)
        or _newest(keys)
        or _places(keys)
        or _group(text, rest, keys)
    )
    if special is not None:
        return special
    if all(key in _NOUNS | _DEICTIC | {"something", "list"} for key in keys):
        loose = bool({"the", "that", "this"} & set(keys))
        return PRONOUN if loose or not keys else Reference("vague")
    parts = _parts(text, rest) if whole else ()
    named = text_of(text, rest).removesuffix("'s").removesuffix("’s")
    return Reference("words", named, parts=parts)


def pointed_at(tokens: Sequence[Token]) -> Reference:
    """What a request without a name points at: "tick them both off", "delete everything"."""
    keys = {token.key for token in tokens}
    listed = bool(keys & {"list", "lot"}) and bool(
        keys & {"whole", "entire", "clear", "wipe", "lot"}
    )
    grouped = bool(keys & _MANY) and bool(keys & (_WHOLE | _DONE | _OPEN))
    if "everything" in keys or ((listed or grouped) and not keys & {"it", "that"}):
        done, still = bool(keys & {"finished", "completed", "done"}), bool(keys & _OPEN)
        status = (
            "completed" if done and not keys & {"mark", "as"} else "pending" if still else "all"
        )
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
    if not 2 <= len(named) <= PARTS_MAX:
        return ()
    parts = tuple(reference_of(text, piece, whole=False) for piece in named)
    # "drop everything and call mom" is no order to delete all tasks.
    return () if any(part.naming == "every" and not part.words for part in parts) else parts


def _pointed(keys: Sequence[str]) -> Reference | None:
    core = [key for key in keys if key not in _NOUNS | {"of", "just", "the"}]
    if not core:
        return None
    if set(core) <= {"other"}:
        return Reference("other")
    if all(key in _POINTING | {"all", "two"} for key in core) and set(core) & _POINTING:
        counted = (2,) if {"both", "two"} & set(core) else ()
        words = "all" if "all" in core else ""
        return Reference("pronoun", words, counted, plural=bool(set(core) & (_PLURAL | {"all"})))
    if core == ["two"] and keys[0] == "the":
        return Reference("pronoun", plural=True, numbers=(2,))
    return None


def _numbers(keys: Sequence[str]) -> Reference | None:
    numbers: list[int] = []
    labelled = ranged = spelled = False
    for key in keys:
        span = _RANGE.fullmatch(key)
        if key.isdecimal() and len(key) <= 9:
            _extend(numbers, int(key), ranged=ranged)
            ranged = False
        elif span is not None:
            numbers.append(int(span[1]))
            _extend(numbers, int(span[2]), ranged=True)
        elif key in _COUNTED and (labelled or key != "one"):
            _extend(numbers, _COUNTED[key], ranged=ranged)
            ranged, spelled = False, True
        elif key in _NOUNS | _NUMBERING:
            labelled = True
        elif key in {"to", "through", "-", "–", "thru"} and numbers:
            ranged = True
        elif key not in {"and", ",", "&", "the", "with", "or", "my", "also"}:
            return None
    if not numbers or ranged or (spelled and not labelled and len(numbers) > 1):
        return None
    return Reference("ids", numbers=tuple(dict.fromkeys(numbers)), plural=len(numbers) > 1)


def _extend(numbers: list[int], number: int, *, ranged: bool) -> None:
    if ranged and numbers and 0 < number - numbers[-1] <= RANGE_MAX:
        numbers.extend(range(numbers[-1] + 1, number + 1))
    else:
        numbers.append(number)


def _newest(keys: Sequence[str]) -> Reference | None:
    added = CLASSES["added"]
    glue = (
        _NOUNS
        | _DEICTIC
        | added
        | {"i", "i've", "i'd", "just", "last", "most", "you", "to", "on", "list"}
    )
    if set(keys) & added and all(key in glue for key in keys) and set(keys) & (_NOUNS | {"last"}):
        return Reference("newest")
    return None


def _places(keys: Sequence[str]) -> Reference | None:
    core = [key for key in keys if key not in _DEICTIC | _NOUNS | _ON_LIST]
    places: list[int] = []
    status, count = "all", 1
    for place, key in enumerate(core):
        if key in _PLACES:
            places.append(_PLACES[key])
        elif (key in _COUNTED or key.isdecimal()) and places and len(key) < 6:
            if "of" not in keys:
                count = min(_COUNTED.get(key, 0) or int(key), RANGE_MAX)
        elif key in _OPEN | _DONE:
            status = "completed" if key in _DONE else "pending"
        elif key == "to" and places and core[place + 1 : place + 2] == ["last"]:
            places[-1] = -places[-1]
        elif key not in {"and", ",", "&", "very", "position", "place", "also", "too"}:
            return None
    if not places:
        return None
    if len(places) == 2 and places[0] < 0 and places[1] == -1:
        places = places[:1]
    if count > 1 and len(places) == 1:
        places = list(range(1, count + 1) if places[0] > 0 else range(-count, 0))
    return Reference("places", numbers=tuple(places), status=status, plural=len(places) > 1)


def _group(text: str, tokens: Sequence[Token], keys: Sequence[str]) -> Reference | None:
    whole = [key for key in keys if key in _WHOLE]
    stated = [key for key in keys if key in _DONE | _OPEN]
    if not whole and not stated:
        return None
    glue = _WHOLE | _DONE | _OPEN | _NOUNS | _DEICTIC | _GROUPED
    if all(key in glue or key in _COUNTED for key in keys):
        plural = bool(whole) or bool(set(keys) & _MANY)
        if not plural and not set(keys) & _NOUNS:
            return None
        negated = bool(set(keys) & {"not", "yet", "aren't", "isn't", "haven't"})
        done = bool(set(stated) & _DONE) and not negated
        status = "completed" if done else "pending" if stated else "all"
        return Reference("every", status=status, plural=plural)
    if keys[0] in {"all", "every", "each"} and (set(keys) & _NOUNS):
        rest = [t for t in tokens if t.key not in _WHOLE | {"of"}]
        return Reference("every", text_of(text, rest), plural=True)
    return None


def resolve(
    reference: Reference, titles: Titles, memory: Memory, *, prefer_open: bool = False
) -> Match:
    """The tasks that the reference names.

    Args:
        reference: How the user named them.
        titles: All tasks of the user, in creation order.
        memory: What earlier turns were about.
        prefer_open: Completing: a finished task does not compete with an open one.

    Returns:
        Tasks in the order named; a `Match` with `unclear` or `missing` changes nothing.
    """
    tasks = titles.tasks
    if not tasks and reference.naming not in {"ids", "words"}:
        return Match(pointless=True)
    known = {task.id: task for task in tasks}
    match reference.naming:
        case "ids":
            found = tuple(known[number] for number in reference.numbers if number in known)
            return Match(
                found, missing=tuple(f"task {n}" for n in reference.numbers if n not in known)
            )
        case "places":
            return _by_places(reference, tasks, memory)
        case "every":
            return _of_group(reference, titles, memory, prefer_open=prefer_open)
        case "newest":
            chosen = [task for task in tasks if task.id == memory.newest] or list(tasks[-1:])
            return Match(tuple(chosen))
        case "pronoun":
            return _spoken_of(reference, tasks, memory, prefer_open=prefer_open)
        case "other":
            near = [known[n] for n in memory.shown if n in known] if memory.shown else []
            rows = near if len(near) == 2 else list(tasks)
            others = [task for task in rows if task.id not in (memory.acted or memory.focus)]
            return Match(tuple(others)) if len(others) == 1 else Match(unclear=tuple(others))
        case "vague":
            return Match(unclear=tuple(tasks))
        case "words":
            return _by_words(reference, titles, memory, prefer_open=prefer_open)


def _by_places(reference: Reference, tasks: Sequence[Task], memory: Memory) -> Match:
    known = {task.id: task for task in tasks}
    shown = [known[task_id] for task_id in memory.shown if task_id in known]
    rows = shown if shown and reference.status == "all" else list(tasks)
    rows = with_status(rows, reference.status)
    found: list[Task] = []
    missing: list[str] = []
    for place in reference.numbers:
        index = place - 1 if place > 0 else place
        if place == 0:
            # "The middle one" is a place only in a list that has one.
            index = len(rows) // 2 if len(rows) % 2 else len(rows)
        if -len(rows) <= index < len(rows):
            found.append(rows[index])
        else:
            missing.append(f"number {place}" if place > 0 else "that one")
    return Match(tuple(found), missing=tuple(missing))


def _of_group(reference: Reference, titles: Titles, memory: Memory, *, prefer_open: bool) -> Match:
    rows = with_status(titles.tasks, reference.status)
    if reference.words:
        rows = fitting(reference.words, rows)
        if not rows:
            return Match(missing=(reference.words,))
    if reference.excluded is not None:
        spared = resolve(reference.excluded, titles, memory)
        if spared.unclear or spared.missing:
            return spared
        rows = [task for task in rows if task not in spared.tasks]
    if prefer_open and reference.plural:
        rows = [task for task in rows if not task.completed]
    if not rows:
        return Match(pointless=True)
    if not reference.plural and len(rows) > 1:
        return Match(unclear=tuple(rows))
    return Match(tuple(rows))


def _spoken_of(
    reference: Reference, tasks: Sequence[Task], memory: Memory, *, prefer_open: bool
) -> Match:
    known = {task.id: task for task in tasks}
    focus = tuple(known[task_id] for task_id in memory.focus if task_id in known)
    if (
        reference.numbers
        and len(focus) != reference.numbers[0]
        and len(tasks) == reference.numbers[0]
    ):
        focus = tuple(tasks)
    if reference.plural and not focus and reference.words == "all":
        return Match(tuple(task for task in tasks if not (prefer_open and task.completed)))
    if reference.plural:
        return Match(focus) if focus else Match(unclear=tuple(tasks))
    if len(focus) > 1 and prefer_open:
        focus = tuple(task for task in focus if not task.completed) or focus
    if len(focus) == 1:
        return Match(focus)
    if not focus and len(tasks) == 1:
        return Match(tuple(tasks))
    return Match(unclear=focus or tuple(tasks))


def _by_words(reference: Reference, titles: Titles, memory: Memory, *, prefer_open: bool) -> Match:
    wanted = plain(reference.words)
    same = [task for task in titles.tasks if task.plain == wanted]
    found = same or best_fits(reference.words, titles)
    if prefer_open and len(found) > 1:
        found = [task for task in found if not task.completed] or found
    if len(found) == 1 and (same or not reference.parts):
        return Match((found[0],))
    if reference.parts:
        several = _by_parts(reference, titles, memory, prefer_open=prefer_open)
        if not several.missing and not several.unclear:
            return several
        if len(found) == 1 and share_held(content(reference.words), found[0].words) >= 0.99:
            return Match((found[0],))
        if several.tasks or several.unclear:
            return several
    if not found:
        # All of a title was said, and more: "buy a tent, we own one by now".
        said = content(reference.words)
        near = [titles.tasks[place] for place in sorted(titles.fits(said))]
        found = [t for t in near if len(t.words) > 1 and share_held(t.words, said) >= 0.99]
        found = found if len(found) == 1 else []
    if not found:
        near = best_fits(reference.words, titles, fit_min=FIT_MIN - 0.25)
        found = (
            near
            if len(near) == 1 and share_held(near[0].words, content(reference.words)) >= 0.5
            else []
        )
    if len(found) == 1:
        return Match((found[0],))
    return Match(unclear=tuple(found)) if found else Match(missing=(reference.words,))


def _by_parts(reference: Reference, titles: Titles, memory: Memory, *, prefer_open: bool) -> Match:
    found: list[Task] = []
    unclear: tuple[Task, ...] = ()
    missing: list[str] = []
    for part in reference.parts:
        piece = resolve(part, titles, memory, prefer_open=prefer_open)
        found += [task for task in piece.tasks if task not in found]
        unclear = unclear or piece.unclear
        missing += piece.missing
    return Match(tuple(found), unclear, tuple(missing))

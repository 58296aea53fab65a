"""The second reading of a message: by evidence, held against the list. A doubt changes nothing.

The grammar reads sentences it knows. Where it read nothing, or left words over, each segment of
the message is weighed again: which operation it speaks for (`signs`), which fields it sets
(`assignments`), which words it exchanges (`replacements`), and which tasks it names, by quotation,
by their titles in any inflection, by number, place or "it". A segment acts only when an operation
and an object agree and nothing in it denies; one that cannot be settled settles nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from taskchat.assistant.offline.assignments import Assigned, assigned_in
from taskchat.assistant.offline.frames import WISHING, unframed
from taskchat.assistant.offline.intents import (
    PRONOUN,
    Add,
    Change,
    Edit,
    Intent,
    Reference,
    Reword,
)
from taskchat.assistant.offline.lexicon import (
    CHANGE,
    DETERMINERS,
    DONE,
    FIELDS,
    FILLERS,
    LISTS,
    NOT,
    PAST,
    POLITE,
    PRONOUNS,
    RENAME,
    TASK_NOUNS,
    word_set,
)
from taskchat.assistant.offline.likeness import alike, content, share_held
from taskchat.assistant.offline.matching import TASKS_FUZZY_MAX, Memory, Task, holding, resolve
from taskchat.assistant.offline.normalise import Token, stem, text_of, tokens_of
from taskchat.assistant.offline.references import reference_of
from taskchat.assistant.offline.replacements import Replaced, corrections_in, replacements_in
from taskchat.assistant.offline.segments import segments_of
from taskchat.assistant.offline.signs import VERBS, Sign, base_of, denied, sign_of
from taskchat.assistant.offline.titles import titles_of
from taskchat.assistant.offline.trimming import trimmed

COVERED_MIN = 0.85
"""Share of a title that must be said for a segment without "task" or quotation to name it."""

_AROUND = (
    VERBS - {"like"}
    | DONE
    | FILLERS
    | POLITE
    | LISTS
    | word_set(
        "off from out away down as to is are be been was were has have had now already it's that's "
        "on onto in into of my the our this i i've i'm we we've you can could may should "
        "status state me us behind rid for belong belongs doesn't isn't shouldn't not any more longer "
        "anymore taken care dealt with way item's want part your tasks to-dos todos todo to-do "
        "permanently completely fully entirely being prefer so will would please"
    )
)


@dataclass(slots=True)
class _Weighed:
    """What the segments so far came to."""

    intents: list[Intent] = field(default_factory=list)
    spoken: list[Task] = field(default_factory=list)
    reported: list[Task] = field(default_factory=list)
    said: str = ""


def weighed(text: str, tasks: Sequence[Task], memory: Memory) -> tuple[Intent, ...] | None:
    """What the message asks for by its evidence, or None when that is not certain.

    Args:
        text: The user's message.
        tasks: All tasks of the user.
        memory: What earlier turns were about.
    """
    so_far = _Weighed()
    corrections = corrections_in(text, tokens_of(text))
    if corrected := _replaced(corrections, tasks, memory):
        return tuple(corrected)
    for segment in segments_of(tokens_of(text)):
        if not _weigh(text, segment, tasks, memory, so_far):
            return None
    if not so_far.intents and so_far.reported:
        return tuple(
            Change("complete", _ids([task]), told=True) for task in dict.fromkeys(so_far.reported)
        )
    return tuple(so_far.intents) or None


def _weigh(
    text: str, segment: list[Token], tasks: Sequence[Task], memory: Memory, so_far: _Weighed
) -> bool:
    """Adds what the segment asks for; false when that is not certain."""
    keys = [token.key if token.kind == "word" else "" for token in segment]
    body = segment[unframed(segment, VERBS | CHANGE) :]
    sign = sign_of(body)
    if body[0].key in _RECORDING and [t.key for t in body[1:2]] == ["that"]:
        # "Please record that I've painted the shed" says no more than the report itself.
        body = segment = body[2:]
        sign = Sign("complete", 0)
    if denied(keys) and (sign is None or sign.verb >= 0) and not _corrects(segment):
        return False
    telling = _reports(text, segment, tasks)
    if telling and not (sign is not None and sign.operation != "complete"):
        so_far.spoken += telling
        so_far.reported += telling
        if sign is not None and sign.verb >= 0:
            so_far.intents.append(Change("complete", _ids(telling)))
        so_far.said = text_of(text, segment)
        return True
    made = _edited(text, body, sign, tasks, memory, so_far)
    if made is None and sign is not None:
        made = _added(text, body, sign) if sign.operation == "add" else (
            _changed(text, body, sign, tasks, memory, so_far)
        )  # fmt: skip
        if made is None:
            return False
    if made is None and sign is None and _destined(keys):
        # A quotation and "on my list", and nothing against it: whatever the verb, it goes there.
        made = [Add(t.text) for t in body if t.kind == "quote"] or None
    if made is None:
        # A remark: what it names is what a later "it" points at.
        so_far.spoken += _covered(text_of(text, body), tasks)
        so_far.said = text_of(text, body)
        mended = bool(so_far.intents) and all(t.key in _MENDING for t in body)
        return mended or body[0].key not in VERBS | CHANGE
    so_far.intents += made
    known = {task.id: task for task in tasks}
    for intent in made:
        if isinstance(intent, Change | Edit) and intent.target.naming == "ids":
            so_far.spoken += [known[n] for n in intent.target.numbers if n in known]
        elif isinstance(intent, Change | Edit) and intent.target.naming == "words":
            so_far.spoken += resolve(intent.target, tasks, memory).tasks
    so_far.said = text_of(text, body)
    return True


_MENDING = CHANGE | PRONOUNS | TASK_NOUNS | DETERMINERS | word_set("in on please for me")
"""“So please fix that in the task”, after the correction itself."""


def _destined(keys: Sequence[str]) -> bool:
    """Whether the segment asks for something to go on the list, in whatever words."""
    place = next((at for at, key in enumerate(keys) if key in LISTS | {"tasks", "to-dos"}), 0)
    if not place or keys[0] in _INQUIRING or set(keys) & {"off", "from", "out", "is", "was"}:
        return False
    into = set(keys[max(place - 4, 0) : place]) & {"on", "onto", "to", "in", "into", "under"}
    needs = set(keys[place + 1 : place + 3]) & {"needs", "wants"}
    return bool(into) or bool(needs)


_INQUIRING = word_set("is are do does did have has was were why what which where how who when")


def _corrects(segment: Sequence[Token]) -> bool:
    """“It's coffee, not tea”: its "not" bars the old words, not the change."""
    keys = [token.key for token in segment]
    barred = [place for place, key in enumerate(keys) if key in NOT]
    return len(barred) == 1 and keys[barred[0]] == "not" and (
        keys[barred[0] - 1] == "," or keys[0] in {"it's", "that's", "make"}
    )  # fmt: skip


def _ids(tasks: Sequence[Task]) -> Reference:
    return Reference("ids", numbers=tuple(task.id for task in tasks), plural=len(tasks) > 1)


def _covered(said: str, tasks: Sequence[Task]) -> list[Task]:
    """The tasks all of whose title is said, in any inflection."""
    heard = content(said)
    fuzzy = len(tasks) <= TASKS_FUZZY_MAX
    return [
        task
        for task in tasks
        if heard and share_held(task.words, heard, fuzzy=fuzzy) >= COVERED_MIN
        and (len(task.words) > 1 or task.words[0] in heard)
    ]  # fmt: skip


_RECORDING = word_set("record note register log remember report")
_TELLERS = word_set("i i've we we've just got is are been has")


def _reports(text: str, segment: Sequence[Token], tasks: Sequence[Task]) -> list[Task]:
    """The tasks that the segment reports as done: all of their titles, their verbs in the past.

    A word that belongs to none of them says something else besides, and then nothing is reported.
    """
    keys = [token.key for token in segment]
    speaks = set(keys[:8]) & _TELLERS or any(key.endswith(("'s", "'ve")) for key in keys[:4])
    if not speaks or denied(keys):
        return []
    found = [
        task
        for task in _covered(text_of(text, segment), tasks)
        if len(task.words) > 1 and any(_past_of(key, task.words[0]) for key in keys)
    ]
    whole = [word for task in found for word in task.words]
    heard = content(text_of(text, segment))
    if not found or share_held(heard, whole, fuzzy=True) < COVERED_MIN:
        return []
    return found if len(found) == 1 or "and" in keys else []


def _past_of(key: str, verb: str) -> bool:
    """Whether the word is a past form of the verb's stem, a slip of the fingers allowed."""
    if key.endswith("ing") or key == verb or key == f"{verb}e":
        return False
    if stem(key) == verb:
        return key in PAST or key.endswith("ed")
    return key.endswith("d") and any(
        alike(key, verb + ending, fuzzy=True) for ending in ("ed", "d", verb[-1] + "ed")
    )


def _added(text: str, body: Sequence[Token], sign: Sign) -> list[Intent] | None:
    quotes = [token for token in body if token.kind == "quote"]
    assigned = assigned_in(text, body)
    pointed = {t.key for t in body if t.kind == "word"} & PRONOUNS
    if quotes:
        known = _AROUND | FIELDS.keys() | TASK_NOUNS | DETERMINERS | WISHING | _WITH
        if not assigned and any(t.kind == "word" and t.key not in known for t in body):
            return None
        described = assigned.description if assigned else None
        titles = [token.text for token in quotes if token.text != described]
        adds: list[Intent] = [Add(title) for title in titles]
        if described and len(titles) == 1:
            adds = [Add(titles[0], described)]
        return adds
    if sign.verb < 0:
        return None
    words = trimmed(body[sign.verb + 1 :])
    while words and words[0].key in {"down", "in", ":", "both"}:
        words = words[1:]
    if pointed and len(words) < 3:
        return []
    words = _undirected(words)
    loose = TASK_NOUNS | DETERMINERS | PRONOUNS | {"new", "anything", "something", "more"}
    if not words or all(t.key in loose for t in words):
        return None
    if base_of(body[sign.verb].key) in _MERE and not any(t.key in _NAMING for t in words):
        return None
    return list(titles_of(text, words, plural=False)) or None


_MERE = word_set("have get see want need like keep list")
"""Verbs of having: "I have a new task at work" asks for nothing."""

_NAMING = word_set("called named titled entitled with : title name")
_WITH = word_set(
    "called named titled with title name and both , : it's i'd love it for that which new more "
    "missing yet there type entitled up add"
)


def _undirected(words: Sequence[Token]) -> list[Token]:
    """The words without "down as a task" before a description."""
    for at, token in enumerate(words):
        if (
            token.key == "down"
            and at
            and (at + 1 == len(words) or words[at + 1].key in {"as", "on", ",", "with"})
        ):
            after = at + 1
            while after < len(words) and words[after].key in TASK_NOUNS | LISTS | {
                "as", "a", "new", "an", "on", "my", "the"
            }:  # fmt: skip
                after += 1
            return [*words[:at], *words[after:]]
    return list(words)


def _changed(
    text: str, body: Sequence[Token], sign: Sign, tasks: Sequence[Task], memory: Memory,
    so_far: _Weighed,
) -> list[Intent] | None:  # fmt: skip
    """The completion or deletion of what the words besides the verb name."""
    target = _named(text, body, tasks, memory, so_far)
    if target is None:
        return None
    return [Change("complete" if sign.operation == "complete" else "delete", target)]


def _named(
    text: str, body: Sequence[Token], tasks: Sequence[Task], memory: Memory, so_far: _Weighed
) -> Reference | None:
    """The task that the words name besides those of the operation."""
    quotes = [token for token in body if token.kind == "quote"]
    if quotes:
        return reference_of(text, [quotes[0]]) if len(quotes) == 1 else Reference(
            "words", " and ".join(q.text for q in quotes), plural=True,
            parts=tuple(Reference("words", q.text) for q in quotes),
        )  # fmt: skip
    exact = _entitled(body, tasks)
    if exact is not None:
        return _ids([exact])
    words = list(body)
    while words and words[0].key in _AROUND:
        words = words[1:]
    while words and words[-1].key in _AROUND:
        words = words[:-1]
    if not words:
        return _back(body, so_far)
    target = reference_of(text, words)
    if target.naming == "pronoun":
        return _back(body, so_far)
    if target.naming != "words":
        return None if target.naming in {"vague", "every"} else target
    match = resolve(target, tasks, memory)
    if match.tasks and not match.missing:
        return _ids(match.tasks)
    covered = _covered(text_of(text, body), tasks)
    return _ids(covered) if len(covered) == 1 else target


def _entitled(body: Sequence[Token], tasks: Sequence[Task]) -> Task | None:
    """The one task whose whole title stands among the words."""
    said = f" {' '.join(token.key for token in body)} "
    found = [t for t in tasks if len(t.plain.split()) > 1 and f" {t.plain} " in said]
    return max(found, key=lambda task: len(task.plain)) if found else None


def _back(body: Sequence[Token], so_far: _Weighed) -> Reference | None:
    """What "it", "both" or no word at all points back at."""
    if any(isinstance(intent, Add) for intent in so_far.intents):
        return Reference("newest")
    many = {"both", "two", "them", "those", "these"} & {token.key for token in body}
    spoken = list(dict.fromkeys(so_far.reported or so_far.spoken))
    if many & {"both", "two"} or (many and len(spoken) > 1):
        return _ids(spoken) if len(spoken) > 1 else None
    if len(spoken) == 1:
        return _ids(spoken)
    return replace(PRONOUN, context=so_far.said) if so_far.said else PRONOUN


def _edited(
    text: str, body: Sequence[Token], sign: Sign | None, tasks: Sequence[Task], memory: Memory,
    so_far: _Weighed,
) -> list[Intent] | None:  # fmt: skip
    """An edit of fields or of a part of the title."""
    assigned = assigned_in(text, body)
    if assigned is not None:
        return _set(text, body, sign, assigned, tasks, so_far)
    if sign is not None and sign.operation != "add":
        return None
    if (renamed := _reworded(text, body, tasks, memory)) is not None:
        return [renamed]
    readings = replacements_in(text, body)
    return _replaced(readings, tasks, memory) or _quoted(text, body, tasks)


def _replaced(readings: Sequence[Replaced], tasks: Sequence[Task], memory: Memory) -> list[Intent]:
    """A part of the one title that holds the old words, exchanged for the new ones."""
    found: dict[int, Edit] = {}
    for reading in readings:
        around = " ".join(token.text for token in reading.around)
        match = holding(reading.old, tasks, memory)
        candidates = match.tasks or match.unclear
        if len(candidates) > 1:
            named = resolve(Reference("words", around), candidates, memory).tasks if around else ()
            candidates = named
        if len(candidates) == 1 and content(reading.old):
            task = candidates[0]
            edit = Edit(_ids([task]), title=reading.new, replaced=reading.old, swapped=True)
            found.setdefault(task.id, edit)
    return list(found.values()) if len(found) == 1 else []


_MODALS = word_set("should must ought needs need has")
_BECOMING = word_set("to be say read become now really actually called named renamed changed into")


def _should_say(
    text: str, body: Sequence[Token], tasks: Sequence[Task], memory: Memory
) -> Edit | None:
    """“Call the vet should be Call the vet at noon”: a title on the list before the modal."""
    place = next((at for at, t in enumerate(body) if at and t.key in _MODALS), 0)
    value = place + 1
    while place and value < len(body) and body[value].key in _BECOMING and (
        body[value].kind == "word"
    ):  # fmt: skip
        value += 1
    wording = {t.key for t in body[place + 1 : value]} & {"be", "say", "read", "become", "called"}
    if not wording or value >= len(body):
        return None
    match = resolve(reference_of(text, body[:place], whole=False), tasks, memory)
    title = text_of(text, trimmed(body[value:]))
    if len(match.tasks) != 1 or not title or body[value].key in DONE | VERBS - {"call", "get"}:
        return None
    return Edit(_ids(match.tasks), title=title)


def _reworded(
    text: str, body: Sequence[Token], tasks: Sequence[Task], memory: Memory
) -> Edit | None:
    """“Rename the other one to Y”: cut where the words before "to" name exactly one task."""
    if (said := _should_say(text, body, tasks, memory)) is not None:
        return said
    if body[0].key not in CHANGE - {"move", "shift", "push", "call", "make"}:
        return None
    for to in range(2, len(body) - 1):
        if body[to].key not in {"to", "into", "as"} or body[to].kind == "quote":
            continue
        target = reference_of(text, body[1:to], whole=False)
        if target.naming in {"vague", "every", "pronoun"}:
            continue
        if target.naming == "other":
            return Edit(target, title=text_of(text, trimmed(body[to + 1 :])))
        match = resolve(target, tasks, memory)
        value = trimmed(body[to + 1 :])
        changed = {"rather", "instead", "title"} & {t.key for t in value}
        if len(match.tasks) == 1 and value and not changed and body[1].key != "the":
            return Edit(_ids(match.tasks), title=text_of(text, value))
    return None


def _quoted(text: str, body: Sequence[Token], tasks: Sequence[Task]) -> list[Intent] | None:
    """“I'd be happier if 'A' read 'B'”: two quotations, the first a title on the list."""
    quotes = [token for token in body if token.kind == "quote"]
    if len(quotes) != 2:
        return None
    between = {t.key for t in body if quotes[0].end <= t.start < quotes[1].start}
    known = [t for t in tasks if t.plain == " ".join(k.key for k in tokens_of(quotes[0].text))]
    if body[0].key in RENAME and len(known) == 1 and not between - {"to", "as", "into", "", ","}:
        return [Edit(_ids(known), title=quotes[1].text)]
    wording = word_set("said say says read reads called named to become becomes be was were into")
    if len(known) == 1 and between & wording:
        return [Edit(_ids(known), title=quotes[1].text)]
    return None


def _set(
    text: str, body: Sequence[Token], sign: Sign | None, assigned: Assigned,
    tasks: Sequence[Task], so_far: _Weighed,
) -> list[Intent] | None:  # fmt: skip
    title, description = assigned.title, assigned.description
    if assigned.pointed:
        description = so_far.said
        if not description:
            return None
    last = so_far.intents[-1] if so_far.intents else None
    if not assigned.owner and isinstance(last, Add) and title is None:
        so_far.intents[-1] = replace(last, description=description)
        return []
    same = isinstance(last, Edit) and not assigned.owner and last.description is None
    if isinstance(last, Edit) and same and title is None:
        so_far.intents[-1] = replace(last, description=description)
        return []
    new = sign is not None and sign.operation == "add"
    owned = resolve(reference_of(text, assigned.owner, whole=False), tasks, Memory()).tasks if (
        assigned.owner
    ) else ()  # fmt: skip
    new = new and len(owned) != 1
    if new and title:
        return [Add(title, description)]
    if new and sign is not None and not assigned.pointed:
        added = _added(text, body, sign)
        if added:
            return added
    if assigned.owner:
        target = reference_of(text, list(assigned.owner), whole=False)
        if target.naming in {"vague", "every"}:
            return None
    else:
        spoken = list(dict.fromkeys(so_far.spoken))
        target = _ids(spoken) if len(spoken) == 1 else PRONOUN
    return [Edit(target, title=title, description=description)]


def renamed_twice(edit: Edit | Reword, tasks: Sequence[Task], memory: Memory) -> list[Edit] | None:
    """“Rename A to B and C to D”: new words that hold the name of another task and its own."""
    first = edit.readings[0] if isinstance(edit, Reword) else edit
    words = (first.title or "").split()
    for at in range(1, len(words) - 3):
        if words[at].casefold() not in {"and", "&"} and not words[at].endswith(","):
            continue
        for to in range(at + 2, min(at + 9, len(words) - 1)):
            if words[to].casefold() not in {"to", "into", "as"}:
                continue
            name = " ".join(words[at + 1 : to])
            match = resolve(Reference("words", name), tasks, memory)
            whole = len(match.tasks) == 1 and (
                share_held(match.tasks[0].words, content(name), fuzzy=False) >= COVERED_MIN
                or name.casefold().endswith((" task", " one"))
            )
            if whole:
                title = " ".join(words[:at] if words[at].casefold() in {"and", "&"}
                                 else words[: at + 1]).rstrip(",")  # fmt: skip
                second = Edit(_ids(match.tasks), title=" ".join(words[to + 1 :]))
                return [replace(first, title=title), second]
    return None

"""New words for a task, by evidence: fields, wordings, exchanged parts, two names at once."""

from collections.abc import Sequence
from dataclasses import replace

from taskchat_offline.additions import additions_of
from taskchat_offline.assignments import Assigned, assigned_in
from taskchat_offline.intents import PRONOUN, Add, Edit, Intent, Reference, Reword
from taskchat_offline.lexicon import CHANGE, DONE, RENAME, word_set
from taskchat_offline.likeness import content, share_held
from taskchat_offline.matching import Memory, Task, holding, resolve
from taskchat_offline.naming import COVERED_MIN, Weighed, ids_of
from taskchat_offline.normalise import Token, text_of, tokens_of
from taskchat_offline.references import reference_of
from taskchat_offline.replacements import CUTS_MAX, Replaced, replacements_in
from taskchat_offline.signs import VERBS, Sign
from taskchat_offline.trimming import trimmed

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
    return Edit(ids_of(match.tasks), title=title)


def _reworded(
    text: str, body: Sequence[Token], tasks: Sequence[Task], memory: Memory
) -> Edit | None:
    """“Rename the other one to Y”: cut where the words before "to" name exactly one task."""
    if (said := _should_say(text, body, tasks, memory)) is not None:
        return said
    if body[0].key not in CHANGE - {"move", "shift", "push", "call", "make"}:
        return None
    for to in range(2, min(len(body) - 1, 2 + CUTS_MAX)):
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
            return Edit(ids_of(match.tasks), title=text_of(text, value))
    return None


def edits_of(
    text: str, body: Sequence[Token], sign: Sign | None, tasks: Sequence[Task], memory: Memory,
    so_far: Weighed,
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
    return replaced_by(readings, tasks, memory) or _quoted(text, body, tasks)


def _unarticled(reading: Replaced, tasks: Sequence[Task]) -> Replaced:
    """“A budgie, not a parrot” for "Feed the parrot": the title keeps its own article."""
    old, new = reading.old.split(), reading.new.split()
    held = any(reading.old.casefold() in task.title.casefold() for task in tasks)
    if held or len(old) < 2 or old[0].casefold() not in {"a", "an", "the", "my"}:
        return reading
    if len(new) > 1 and new[0].casefold() in {"a", "an", "the", "my"}:
        new = new[1:]
    return Replaced(" ".join(old[1:]), " ".join(new), reading.around)


def replaced_by(
    readings: Sequence[Replaced], tasks: Sequence[Task], memory: Memory
) -> list[Intent]:
    """A part of the one title that holds the old words, exchanged for the new ones."""
    found: dict[int, Edit] = {}
    for reading in readings:
        around = " ".join(token.text for token in reading.around)
        reading = _unarticled(reading, tasks)
        match = holding(reading.old, tasks, memory)
        candidates = match.tasks or match.unclear
        if len(candidates) > 1:
            named = resolve(Reference("words", around), candidates, memory).tasks if around else ()
            candidates = named
        if len(candidates) == 1 and content(reading.old):
            task = candidates[0]
            edit = Edit(ids_of([task]), title=reading.new, replaced=reading.old, swapped=True)
            found.setdefault(task.id, edit)
    return list(found.values()) if len(found) == 1 else []


def _quoted(text: str, body: Sequence[Token], tasks: Sequence[Task]) -> list[Intent] | None:
    """“I'd be happier if 'A' read 'B'”: two quotations, the first a title on the list."""
    quotes = [token for token in body if token.kind == "quote"]
    if len(quotes) != 2:
        return None
    between = {t.key for t in body if quotes[0].end <= t.start < quotes[1].start}
    known = [t for t in tasks if t.plain == " ".join(k.key for k in tokens_of(quotes[0].text))]
    if body[0].key in RENAME and len(known) == 1 and not between - {"to", "as", "into", "", ","}:
        return [Edit(ids_of(known), title=quotes[1].text)]
    wording = word_set("said say says read reads called named to become becomes be was were into")
    if len(known) == 1 and between & wording:
        return [Edit(ids_of(known), title=quotes[1].text)]
    return None


def _set(
    text: str, body: Sequence[Token], sign: Sign | None, assigned: Assigned,
    tasks: Sequence[Task], so_far: Weighed,
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
        added = additions_of(text, body, sign)
        if added:
            return added
    if assigned.owner:
        target = reference_of(text, list(assigned.owner), whole=False)
        if target.naming in {"vague", "every"}:
            return None
    else:
        spoken = list(dict.fromkeys(so_far.spoken))
        target = ids_of(spoken) if len(spoken) == 1 else PRONOUN
    return [Edit(target, title=title, description=description)]


def renamed_twice(edit: Edit | Reword, tasks: Sequence[Task], memory: Memory) -> list[Edit] | None:
    """“Rename A to B and C to D”: new words that hold the name of another task and its own."""
    first = edit.readings[0] if isinstance(edit, Reword) else edit
    words = (first.title or "").split()
    for at in range(1, min(len(words) - 3, 2 * CUTS_MAX)):
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
                second = Edit(ids_of(match.tasks), title=" ".join(words[to + 1 :]))
                return [replace(first, title=title), second]
    return None

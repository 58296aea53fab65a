"""The second reading of a message: by evidence, held against the list. A doubt changes nothing.

The grammar reads sentences it knows. Where it read nothing, or left words over, each segment of
the message is weighed again: which operation it speaks for (`signs`), which fields it sets
(`assignments`), which words it exchanges (`replacements`), and which tasks it names, by quotation,
by their titles in any inflection, by number, place or "it". A segment acts only when an operation
and an object agree and nothing in it denies; one that cannot be settled settles nothing.
"""

from collections.abc import Sequence

from taskchat_offline.additions import additions_of
from taskchat_offline.edits import edits_of, replaced_by
from taskchat_offline.frames import WISHING, unframed
from taskchat_offline.intents import Add, Change, Edit, Intent
from taskchat_offline.lexicon import (
    CHANGE,
    DETERMINERS,
    LISTS,
    NOT,
    PAST,
    PRONOUNS,
    TASK_NOUNS,
    word_set,
)
from taskchat_offline.likeness import alike, content, share_held
from taskchat_offline.matching import Memory, Task, resolve
from taskchat_offline.naming import COVERED_MIN, Weighed, covered, ids_of, named
from taskchat_offline.normalise import Token, stem, text_of, tokens_of
from taskchat_offline.references import reference_of
from taskchat_offline.replacements import corrections_in
from taskchat_offline.segments import segments_of
from taskchat_offline.signs import VERBS, Sign, denied, sign_of


def weighed(text: str, tasks: Sequence[Task], memory: Memory) -> tuple[Intent, ...] | None:
    """What the message asks for by its evidence, or None when that is not certain.

    Args:
        text: The user's message.
        tasks: All tasks of the user.
        memory: What earlier turns were about.
    """
    so_far = Weighed()
    corrections = corrections_in(text, tokens_of(text))
    if corrected := replaced_by(corrections, tasks, memory):
        return tuple(corrected)
    for segment in segments_of(tokens_of(text)):
        if not _weigh(text, segment, tasks, memory, so_far):
            return None
    if not so_far.intents and so_far.reported:
        return tuple(
            Change("complete", ids_of([task]), told=True) for task in dict.fromkeys(so_far.reported)
        )
    return tuple(so_far.intents) or None


def _weigh(
    text: str, segment: list[Token], tasks: Sequence[Task], memory: Memory, so_far: Weighed
) -> bool:
    """Adds what the segment asks for; false when that is not certain."""
    keys = [token.key if token.kind == "word" else "" for token in segment]
    body = segment[unframed(segment, VERBS | CHANGE) :]
    sign = sign_of(body)
    if body[0].key in _RECORDING and [t.key for t in body[1:2]] == ["that"]:
        # "Please record that I've painted the shed" says no more than the report itself.
        body = segment = body[2:]
        sign = Sign("complete", 0)
    # What a note says after its colon denies nothing.
    colon = next((at for at, token in enumerate(segment) if token.key == ":"), len(keys))
    if denied(keys[:colon]) and (sign is None or sign.verb >= 0) and not _corrects(segment):
        return False
    telling = _reports(text, segment, tasks) or _told_of_it(text, segment, tasks, memory)
    if telling and not (sign is not None and sign.operation != "complete"):
        so_far.spoken += telling
        so_far.reported += telling
        if sign is not None and sign.verb >= 0:
            so_far.intents.append(Change("complete", ids_of(telling)))
        so_far.said = text_of(text, segment)
        return True
    made = edits_of(text, body, sign, tasks, memory, so_far)
    if made is None and sign is not None:
        made = additions_of(text, body, sign) if sign.operation == "add" else (
            _changed(text, body, sign, tasks, memory, so_far)
        )  # fmt: skip
        if made is None:
            return False
    if made is None and sign is None and _destined(keys):
        # A quotation and "on my list", and nothing against it: whatever the verb, it goes there.
        made = [Add(t.text) for t in body if t.kind == "quote"] or None
    if made is None:
        # A remark: what it names is what a later "it" points at.
        if body[0].key in {"for", "in", "on", "with", "about", "regarding"} and body[1:]:
            target = reference_of(text, body[1:], whole=False)
            so_far.spoken += resolve(target, tasks, memory).tasks
        so_far.spoken += covered(text_of(text, body), tasks)
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
    orders = keys[0] in VERBS | WISHING | {"", "my", "the"} and not (keys[0] == "my" and place > 3)
    if (
        not place
        or not orders
        or keys[0] in _INQUIRING
        or set(keys) & {"off", "from", "out", "is", "was"}
    ):
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
        for task in covered(text_of(text, segment), tasks)
        if len(task.words) > 1 and any(_past_of(key, task.words[0]) for key in keys)
    ]
    whole = [word for task in found for word in task.words]
    heard = content(text_of(text, segment))
    if not found or share_held(heard, whole, fuzzy=True) < COVERED_MIN:
        return []
    return found if len(found) == 1 or "and" in keys else []


def _told_of_it(
    text: str, segment: Sequence[Token], tasks: Sequence[Task], memory: Memory
) -> list[Task]:
    """“I've bought it already” about the one task spoken of, whose verb it is."""
    keys = [token.key for token in segment]
    focus = [task for task in tasks if task.id in memory.focus and task.words]
    pointed = {"it", "them"} & set(keys) and keys[0] not in {"is", "are", "was"}
    if len(focus) != 1 or not pointed or denied(keys):
        return []
    told = any(_past_of(key, focus[0].words[0]) for key in keys)
    return focus if told and len(content(text_of(text, segment))) < 3 else []


def _past_of(key: str, verb: str) -> bool:
    """Whether the word is a past form of the verb's stem, a slip of the fingers allowed."""
    if key.endswith("ing") or key == verb or key == f"{verb}e":
        return False
    if stem(key) == verb:
        return key in PAST or key.endswith("ed")
    return key.endswith("d") and any(
        alike(key, verb + ending, fuzzy=True) for ending in ("ed", "d", verb[-1] + "ed")
    )


def _changed(
    text: str, body: Sequence[Token], sign: Sign, tasks: Sequence[Task], memory: Memory,
    so_far: Weighed,
) -> list[Intent] | None:  # fmt: skip
    """The completion or deletion of what the words besides the verb name."""
    target = named(text, body, tasks, memory, so_far)
    if target is None:
        return None
    return [Change("complete" if sign.operation == "complete" else "delete", target)]

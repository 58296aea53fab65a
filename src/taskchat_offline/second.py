"""When the first reading is doubted, and what the evidence makes of the message instead."""

from collections.abc import Sequence
from dataclasses import dataclass

from taskchat_offline.drafting import Draft, draft_of
from taskchat_offline.edits import renamed_twice
from taskchat_offline.evidence import weighed
from taskchat_offline.history import Turn
from taskchat_offline.intents import Add, Change, Edit, Intent, Offer, Reword, Say, Show
from taskchat_offline.lexicon import CHANGE, FIELDS
from taskchat_offline.matching import Memory, Task
from taskchat_offline.meanings import meaning_asked
from taskchat_offline.normalise import tokens_of
from taskchat_offline.signs import VERBS
from taskchat_offline.templates import fits_form, templated

SAID_CHARS_MAX = 400
"""Longer messages are read by the grammar alone; evidence from so many words proves nothing."""

_UNREAD = frozenset({"unknown", "noted", "incomplete", "kept"})


def may_be_doubted(said: str, intents: Sequence[Intent]) -> bool:
    """Whether the list is needed to weigh the evidence: the grammar made nothing of a request."""
    if len(said) > SAID_CHARS_MAX or meaning_asked(said) is not None:
        return False
    if fits_form(said):
        return True
    unread = all(
        isinstance(i, Offer)
        or (isinstance(i, Say) and i.topic in _UNREAD)
        or (isinstance(i, Change) and not i.certain)
        for i in intents
    )
    tokens = tokens_of(said)
    quoted = any(token.kind == "quote" for token in tokens)
    if not unread:
        return quoted and all(isinstance(i, Show | Say) for i in intents)
    speaks = {token.key for token in tokens if token.kind == "word"}
    return quoted or bool(speaks & (VERBS | CHANGE | frozenset(FIELDS) | _SPOKEN))


_SPOKEN = frozenset(
    {
        "i",
        "i've",
        "we",
        "we've",
        "not",
        "isn't",
        "it's",
        "rather",
        "instead",
        "spelled",
        "spelt",
        "should",
        "must",
        "that's",
    }
)


def _leftover(intent: Intent) -> bool:
    """Whether new words hold what can only be part of the request."""
    if isinstance(intent, Reword):
        return any(_leftover(edit) for edit in intent.readings)
    if not isinstance(intent, Add | Edit) or not intent.title:
        return False
    tokens = tokens_of(intent.title)
    keys = [token.key for token in tokens]
    said = " ".join(keys)
    quoted = len(tokens) > 1 and any(token.kind == "quote" for token in tokens)
    compared = isinstance(intent, Edit) and any(
        words in said for words in ("rather than", "instead of", "in the title", "in its title",
                                    "in the task title")
    )  # fmt: skip
    compared = compared or (
        isinstance(intent, Edit) and " in the " in f" {said}" and said.endswith((" task", " one"))
    )
    fields = bool({"title", "description"} & set(keys if isinstance(intent, Edit) else keys[:3]))
    return quoted or compared or fields


def _field_lost(said: str, intents: Sequence[Intent]) -> bool:
    """Whether a description was spoken of and none was read."""
    if not any(isinstance(i, Add | Edit) for i in intents):
        return False
    given = any(isinstance(i, Add | Edit) and i.description is not None for i in intents)
    return not given and any(t.key == "description" for t in tokens_of(said))


@dataclass(frozen=True, slots=True)
class Drafted:
    """The intents that a turn is taken to mean, and what they come to."""

    intents: tuple[Intent, ...]
    draft: Draft


def drafted(
    turn: Turn, intents: tuple[Intent, ...], tasks: Sequence[Task], memory: Memory
) -> Drafted:
    """The grammar's reading, or that of the evidence where the grammar's comes to nothing.

    Args:
        turn: The turn and the calls made in it.
        intents: The grammar's reading.
        tasks: The list as it was when the turn began.
        memory: What earlier turns were about.
    """
    first = Drafted(intents, draft_of(turn, intents, tasks, memory))
    if len(turn.said) > SAID_CHARS_MAX or meaning_asked(turn.said) is not None:
        return first
    formed = templated(turn.said, tasks, memory)
    if formed is not None:
        second = Drafted(formed, draft_of(turn, formed, tasks, memory))
        return second if second.draft.calls else first
    twice = [
        edit
        for intent in intents
        if isinstance(intent, Edit | Reword)
        for edit in renamed_twice(intent, tasks, memory) or ()
    ]
    if twice and len(intents) == 1:
        return Drafted(tuple(twice), draft_of(turn, twice, tasks, memory))
    missed = _missed(first.draft)
    leftover = any(_leftover(intent) for intent in intents) or _field_lost(turn.said, intents)
    unread = not first.draft.calls and may_be_doubted(turn.said, intents)
    if not (missed or leftover or unread):
        return first
    found = weighed(turn.said, tasks, memory)
    if found is None:
        return first
    second = Drafted(found, draft_of(turn, found, tasks, memory))
    return second if _better(second, first, leftover=leftover) else first


def _missed(draft: Draft) -> bool:
    """Whether a change was asked for that named no task, or none in particular."""
    asked = draft.question is not None and not isinstance(draft.question.intent, Offer)
    return asked or any(note.startswith("I couldn't find") for note in draft.notes)


def _better(second: Drafted, first: Drafted, *, leftover: bool) -> bool:
    """Whether the evidence settles what the grammar left open."""
    if second.draft.calls or second.draft.awaiting:
        whole = not _missed(second.draft)
        return whole and (leftover or len(second.draft.calls) >= len(first.draft.calls))
    if first.draft.calls or first.draft.question is not None:
        return False
    asks = second.draft.question is not None and bool(second.draft.question.candidates)
    told = all(isinstance(i, Change | Edit) for i in second.intents)
    return asks or (told and not _missed(first.draft))

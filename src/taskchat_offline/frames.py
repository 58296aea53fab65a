"""The frames of courtesy and wishing around an order, and questions about what is possible."""

from collections.abc import Sequence

from taskchat_offline.helping import topic_of
from taskchat_offline.intents import Say
from taskchat_offline.lexicon import (
    ADD,
    CHANGE,
    COMPLETE,
    DELETE,
    FIELDS,
    FILLERS,
    MANY_TASKS,
    ONE_TASK,
    POLITE,
    word_set,
)
from taskchat_offline.normalise import Token

FRAME_WORDS_MAX = 18
"""Longer openings say something of their own."""

WISHING = word_set(
    "i i'd i'll i'm we we'd you you'd you'll you're it it's it'd that is isn't be would could can "
    "will might may please kindly if would like love want wish need prefer appreciate to possible "
    "mind so grateful thankful thank glad happy happier pleased delighted obliged great nice good "
    "lovely wonderful helpful kind as a an the favour favor do me for and very much really able "
    "wondering wonder hoping hope any chance there moment minute when have just go ahead must "
    "was were am how about let let's us get also then now ok okay think thinking time "
    "bother trouble too no not best better ask asking rather"
)
"""The words that courtesies and wishes are made of."""

_TURNS = word_set("to you you'd you'll please kindly just if that and then ahead also i'd us me")


def unframed(tokens: Sequence[Token], verbs: frozenset[str]) -> int:
    """The place of the order inside "I'd be so glad if you ... "; 0 when nothing frames it.

    Args:
        tokens: A clause.
        verbs: Every form of the verbs that can be the order.
    """
    for place, token in enumerate(tokens[:FRAME_WORDS_MAX]):
        if token.kind == "quote":
            return place
        before = tokens[place - 1].key if place else "please"
        if token.key in verbs and (before in _TURNS or before.endswith("ly")):
            return place
        adverb = token.key.endswith("ly") and len(token.key) > 4
        framing = token.key in WISHING | FILLERS | POLITE or adverb or token.key == ","
        if not framing:
            return 0
    return 0


_GENERAL = (
    ONE_TASK
    | MANY_TASKS
    | frozenset(FIELDS)
    | DELETE
    | ADD
    | CHANGE
    | COMPLETE
    | word_set(
        "is it possible can could may do does i you we one people tasks a an any to give have has "
        "get put be been being my their its with of on in for once deleted completed finished "
        "marked done ticked off up back again list lists titles descriptions names due date dates "
        "deadline deadlines priority priorities colour colours color colors tag tags subtask "
        "subtasks category categories order sort sorting undo restore restored recover later "
        "several many more than at the same time same are there ever already how what which also "
        "assign attach archive share export print search longer or and not after if when have 'em "
        "different another someone else mark tick there's way ways handle them they reopen "
        "reopened changed edited renamed able support supports ability option kinds kind repeat "
        "recurring repeating reminders only just"
    )
)
_ASKING = (
    ("is", "it", "possible"), ("can", "i"), ("can", "you"), ("can", "tasks"), ("can", "a"),
    ("can", "we"), ("could", "i"), ("could", "tasks"), ("could", "a"), ("do", "tasks"),
    ("does", "a"), ("may", "i"), ("are", "tasks"), ("am", "i", "able"), ("are", "you", "able"),
    ("do", "you", "support"), ("is", "there", "a"), ("can", "one"), ("can", "the"),
    ("is", "a"), ("do", "you", "have"), ("could", "you"),
)  # fmt: skip
_UNDECIDED = word_set("a an tasks to-dos todos titles descriptions names lists any items several")


def ability_of(tokens: Sequence[Token]) -> Say | None:
    """The answer to “can a task have a description?”: it asks about tasks at large, not one."""
    words = [token for token in tokens if token.kind != "mark" and token.key not in FILLERS]
    if not words or any(token.kind != "word" or token.key.isdecimal() for token in words):
        return None
    keys = [token.key for token in words]
    if tokens[-1].key != "?" or not any(tuple(keys[: len(a)]) == a for a in _ASKING):
        return None
    known = all(key in _GENERAL for key in keys)
    if not known or not set(keys[1:]) & _UNDECIDED or "me" in keys or keys[-1] in {"list"}:
        return None
    if not set(keys) & (ONE_TASK | MANY_TASKS):
        return None
    telling = set(keys) & set(FIELDS) or not set(keys[:2]) & {"you"} or keys[2:3] == ["able"]
    return Say("howto", topic_of(keys)) if telling else None

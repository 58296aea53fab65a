"""What the words of a clause speak for: which operation, and against any. Words only, no tasks.

The second stage of understanding weighs these signs when the grammar read nothing in a clause, or
left words of it over. A sign may stand anywhere in the clause, in any form of its verb.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from taskchat_offline.lexicon import (
    DELETE,
    DONE,
    FILLERS,
    IRREGULAR,
    LISTS,
    MANY_TASKS,
    NOT,
    ONE_TASK,
    PARTICIPLES,
    word_set,
)
from taskchat_offline.normalise import Token

Operation = Literal["add", "complete", "delete"]

_ADDING = word_set(
    "add pencil put enter insert type write note jot record save log include stick pop create "
    "make track register place schedule list get have see throw slot squeeze want need like "
    "keep set"
)
_REMOVING = (DELETE - word_set("deleting removing erasing scrapping dropping cancelling canceling "
                               "binning ditching rm")) | word_set(
    "kick knock boot take throw pull lift yank chuck lose disappear vanish get strike leave pluck"
)  # fmt: skip
_TICKING = word_set("tick check cross")
_STATING = word_set(
    "mark set flag consider count declare record log register report put show switch turn move "
    "treat regard label change update make call list tag"
)
_SURE_REMOVING = word_set("delete remove erase scrap discard unlist expunge scratch")
_SURE_ADDING = word_set("add insert include enter")
_NAMING = word_set("create note record log jot save track write")
_OPENING = word_set(
    "to you you'd you'll please kindly just be been is are was were being get gets got have "
    "has had should can could may must i'd if and then also i we want need like see"
)
_LEFT = word_set("off from out")
_ONTO = word_set("on onto to in into of among")
_THERE = word_set("there it")
_LISTED = LISTS | MANY_TASKS - {"ones", "things", "stuff"}
_OWN = word_set("my the our this that to-do todo task tasks shopping to do your personal work")
_NEW = word_set("a an new another one more extra further additional")
_BE = word_set("is are be as to was were being been it's that's = : am now")
_PAST = {form: base for form, base in IRREGULAR.items() if base != "be"}


def base_of(key: str) -> str:
    """The verb of which `key` is a form, as far as operations are concerned."""
    if key in _BASES:
        return _BASES[key]
    return key


def _forms(verb: str) -> set[str]:
    root = verb.removesuffix("e")
    return {verb, verb + "s", root + "ed", root + "ing", verb + verb[-1] + "ed",
            verb + verb[-1] + "ing", verb[:-1] + "ied"}  # fmt: skip


_BASES: dict[str, str] = {
    form: verb
    for verb in sorted(_ADDING | _REMOVING | _TICKING | _STATING | {"complete", "finish", "close"})
    for form in _forms(verb)
}
_BASES |= {form: base for form, base in _PAST.items() if base in _ADDING | _REMOVING}
_BASES |= {"gone": "remove", "removal": "remove", "deletion": "delete", "lost": "lose"}


VERBS = frozenset(_BASES)
"""Every form of a verb that can be an order about tasks."""


@dataclass(frozen=True, slots=True)
class Sign:
    """An operation that a clause speaks for; `verb` is the place of its verb, -1 for none."""

    operation: Operation
    verb: int = -1


def sign_of(tokens: Sequence[Token]) -> Sign | None:
    """The operation that the clause speaks for, or None when nothing or too much does.

    | evidence                                                       | reading  |
    | -------------------------------------------------------------- | -------- |
    | "missing from", "isn't on", "should have", "belongs on" + list | add      |
    | "doesn't belong on", "shouldn't be on", "not ... any more"     | delete   |
    | tick, check or cross, with or without "off"                    | complete |
    | a verb of stating + "as", "to", "is" + a word for done         | complete |
    | a verb of removing, with "off", "from" or sure by itself       | delete   |
    | a verb of adding + the list, "down", "as a task", "a new task" | add      |
    | "is done", "behind me", "out of the way"                       | complete |
    """
    keys = [token.key if token.kind == "word" else "" for token in tokens]
    stated = _of_the_list(keys)
    if stated is not None:
        return stated
    if denied(keys):
        return None
    if keys[:1] in (["new"], ["another"]) and _noun(keys):
        return Sign("add", 0)
    bases = [base_of(key) for key in keys]
    done = _done_at_end(keys)
    for place, base in enumerate(bases):
        if not _orders(keys, place):
            continue
        if base in _TICKING and (keys[place] != "check" or "off" in keys[place:] or place < 2):
            return Sign("complete", place)
        past = keys[-2:-1] == ["as"] and (keys[-1] in PARTICIPLES or keys[-1].endswith("ed"))
        if base in _STATING and place < max(done, (len(keys) - 2) * past):
            return Sign("complete", place)
        removes = base in _REMOVING and (base in DELETE | _SURE_REMOVING or _leaves(keys, place))
        if removes and not (base in _ADDING and _comes(keys, place) and not _leaves(keys, place)):
            return Sign("delete", place)
        named = base in _NAMING and tokens[place + 1 : place + 2] and not place
        if named and tokens[place + 1].kind == "quote":
            return Sign("add", place)
        if base in _ADDING and (_comes(keys, place) or base in _SURE_ADDING):
            return Sign("add", place)
        if base in {"complete", "finish", "close"} and place < 3 and not done:
            return Sign("complete", place)
    return Sign("complete") if done or _behind(keys) else None


def _orders(keys: Sequence[str], place: int) -> bool:
    """Whether the verb at `place` can be the clause's own, not a word of what it names."""
    before = keys[place - 1] if place else ""
    if not place or before in _OPENING or before.endswith("ly"):
        return True
    passive = keys[place] != base_of(keys[place]) or keys[place] == "put"
    return passive and before == ""


def _leaves(keys: Sequence[str], place: int) -> bool:
    """Whether something goes "off", "from", "out" or "away" after the verb at `place`."""
    after = keys[place + 1 :]
    if keys[place + 1 : place + 3] == ["rid", "of"] or keys[place] == "gone":
        return True
    for at, key in enumerate(after):
        if key in {"away", "off"} and at == len(after) - 1:
            return True
        if key in _LEFT and set(after[at + 1 : at + 6]) & (_LISTED | {"there", "it"}):
            return True
    return keys[place] in {"disappear", "disappeared", "vanish", "vanished"}


def _comes(keys: Sequence[str], place: int) -> bool:
    """Whether something comes on the list, down, or into being as a task."""
    after = keys[place + 1 :]
    for at, key in enumerate(after):
        rest = after[at + 1 : at + 6]
        if key in _ONTO and _lists(rest):
            return True
        if key in {"down", "in"} and (at == 0 or at == len(after) - 1):
            return keys[place] not in {"get", "have", "see", "want", "need", "like"}
        if (key == "as" and _noun(rest)) or (key in {"there", "here", "on"} and not rest):
            return True
        if key in {"added", "put", "noted", "entered", "included"} and at < len(after):
            return base_of(keys[place]) in {"get", "have", "see", "want", "need", "like"}
    return _noun(after[:4]) and bool(set(after[:3]) & _NEW)


def _lists(keys: Sequence[str]) -> bool:
    """“My list”, “there”, “my to-dos” at the beginning of the words."""
    for at, key in enumerate(keys):
        if key in _LISTED or (key in _THERE and len(keys) == at + 1):
            return True
        if key not in _OWN:
            return False
    return False


def _noun(keys: Sequence[str]) -> bool:
    for key in keys:
        if key in ONE_TASK - {"one", "thing"}:
            return True
        if key not in _NEW | {"my", "the"}:
            return False
    return False


def _of_the_list(keys: Sequence[str]) -> Sign | None:
    """What is said of the list: something is missing from it, or does not belong on it."""
    place = next((at for at, key in enumerate(keys) if key in LISTS | {"there", "to-dos"}), -1)
    if place < 1:
        return None
    words = set(keys)
    more = " ".join(keys)
    gone = "anymore" in words or any(e in more for e in ("any more", "any longer", "no longer"))
    before = keys[:place]
    barred = bool(set(before) & NOT) or gone
    if "missing" in words or "lacks" in words:
        return None if barred else Sign("add")
    placed = bool(set(before) & word_set("on onto belong belongs be have"))
    if not placed or not barred:
        opened = before[:1] in (["my"], ["the"]) and before[-1:] in (["my"], ["the"])
        owns = opened and place < 3 and set(keys[place + 1 : place + 5]) & {"have", "include"}
        belongs = {"belongs", "should", "must"} & set(before) and "on" in before[-3:]
        return Sign("add") if owns or (belongs and not barred) else None
    if gone or set(before) & {"belong", "shouldn't", "prefer", "needn't"}:
        kept = {"don't", "please"} & set(keys[:1]) or "whatever" in words
        return None if kept else Sign("delete")
    if set(before) & {"isn't", "not", "aren't"} and not set(before) & {"want", "should", "do"}:
        return Sign("add")
    return None


def _done_at_end(keys: Sequence[str]) -> int:
    """The place of a word for done that ends the clause after "as", "is" or "to", or 0."""
    end = len(keys)
    while end and keys[end - 1] in FILLERS | {"", "now", "already", "too", "both", "all", "off"}:
        end -= 1
    if end < 2 or keys[end - 1] not in DONE:
        return 0
    at = end - 1
    while at > 0 and keys[at - 1] in {"now", "already", "fully", "all", "completely", "being"}:
        at -= 1
    linked = at > 0 and (keys[at - 1] in _BE or keys[at - 1].endswith("'s"))
    return at if linked or keys[at] in {"done", "finished", "complete", "completed"} else 0


def _behind(keys: Sequence[str]) -> bool:
    said = " ".join(keys)
    return any(
        words in said
        for words in ("behind me", "behind us", "out of the way", "taken care of", "dealt with")
    )


_DOUBTING = (
    ("should", "i"), ("should", "we"), ("shall", "i"), ("shall", "we"), ("what", "if"),
    ("what", "would"), ("what", "happens"), ("what", "will"), ("do", "you", "think"), ("how",),
    ("why",), ("who",), ("i", "wish"), ("might",), ("i'm", "thinking"), ("i", "might"), ("if", "i"),
    ("i", "may"), ("whether",), ("suppose",), ("imagine",), ("i", "wonder"), ("i'll",),
    ("i", "will"),
    ("is", "it", "true"), ("did", "i"), ("have", "i"), ("am", "i"), ("was", "it"), ("when",),
    ("not",), ("nothing",), ("whatever",), ("unless",), ("i'm", "going"), ("we'll",),
    ("i'd", "rather", "not"),
)  # fmt: skip
_SHORT_OF = word_set(
    "almost nearly halfway hardly barely half only hate once until unless would've if-only partly"
)
_TELLING = word_set("says said told tells thinks thought wants asked asks claims reckons hopes")


_OTHERS = word_set("somebody someone he she they nobody everybody everyone he's she's they've")
_OFFERING = word_set("can could would don't wouldn't please may might you'd want like will have")


def _of_another(words: Sequence[str]) -> bool:
    """What somebody else did, the assistant included: "somebody put it there", "you deleted it"."""
    return bool(words) and (
        words[0] in _OTHERS or (words[0] == "you" and len(words) > 1 and words[1].endswith("ed"))
    )


def _conditional(words: Sequence[str]) -> bool:
    """“If you delete it, ...”, “before you delete it”; but not “if you could delete it”."""
    if words[:2] == ["if", "you"] and len(words) > 2 and words[2] not in _OFFERING:
        return True
    if {"if", "whether"} & set(words[1:]) and {"know", "sure", "see", "ask"} & set(words[:5]):
        return True
    return any(
        key in {"before", "until", "unless", "whenever"} and words[at + 1] in {"you", "i", "we"}
        for at, key in enumerate(words[:-1])
    )


def denied(keys: Sequence[str]) -> bool:
    """Whether the words take back, doubt or only report what they speak of."""
    words = [key for key in keys if key not in FILLERS and key]
    if any(tuple(words[: len(opening)]) == opening for opening in _DOUBTING):
        return True
    if _of_another(words) or _conditional(words):
        return True
    told = next((at for at, key in enumerate(words[:8]) if key in _TELLING), -1)
    if told > 0 and words[told - 1] not in {"it", "that", "which", "so", "i"} and (
        words[0] not in {"change", "make", "edit", "i'd", "it'd"}
    ):  # fmt: skip
        return True
    if set(words) & _SHORT_OF or ("able" in words and "you" not in words[: words.index("able")]):
        return True
    if " ".join(words[:2]) == "no need" and not set(words) & {"anymore", "longer", "more"}:
        return True
    return any(
        key in NOT - {"without", "left", "still", "yet", "almost", "half"}
        and not (key in {"don't", "not"} and words[at + 1 : at + 2] in (["mind"], ["forget"]))
        for at, key in enumerate(words)
    )

"""What a phrase about existing tasks means: which task, which new words."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from taskchat_offline.clauses import Clause
from taskchat_offline.intents import PRONOUN, Change, Edit, Intent, Offer, Reference, Reword, Say
from taskchat_offline.lexicon import FIELDS, LISTS, TASK_NOUNS, word_set
from taskchat_offline.normalise import Token, text_of
from taskchat_offline.pattern import Captures, Pattern
from taskchat_offline.phrase_words import Effect
from taskchat_offline.references import reference_of
from taskchat_offline.titles import described
from taskchat_offline.trimming import is_punctuation, trimmed

READINGS_MAX = 12
"""Ways to cut one edit that are compared with the titles."""


WAVERING = word_set(
    "might may maybe could thinking considering wondering wonder should gonna going will "
    "i'll we'll would i'd started starting trying tried almost nearly halfway wish hope "
    "hoping plan planning about intend when supposed used soon later"
)


_PROMISING = word_set("i we i'll we'll i'd you let know tell")
_SPEAKERS = word_set("i i'm i've we we're we've")
_TIMES = frozenset(
    tuple(phrase.split())
    for phrase in [
        "this morning",
        "this afternoon",
        "this evening",
        "last night",
        "yesterday",
        "today",
        "earlier",
        "tonight",
        "just now",
        "already",
        "finally",
        "earlier today",
        "a while",
        "ago",
        "last week",
        "at last",
        "at lunch",
        "for you",
        "for today",
        "for now",
    ]
)


@dataclass(frozen=True, slots=True)
class Reading:
    """A clause's intents, and the words that a later "it" may point back to."""

    intents: tuple[Intent, ...]
    context: str = ""
    named: Reference | None = None
    field: str = ""


def first_reading(clause: Clause, phrases: Sequence[tuple[Effect, Pattern]]) -> Reading | None:
    """The reading of the first phrase that fits, with or without the courtesies at the end."""
    whole = list(clause.tokens)
    while len(whole) > 1 and whole[-1].kind == "mark" and is_punctuation(whole[-1]):
        whole.pop()
    plain = trimmed(whole, places=False)
    keys = [token.key for token in whole]
    if keys[-2:] == ["if", "possible"] and set(keys) & {"description", "note", "notes"}:
        # "Court 2 if possible" is the note; a courtesy would stand before the order.
        plain = whole
    for tokens in (plain, whole) if len(plain) < len(whole) else (whole,):
        for effect, pattern in phrases:
            cuts = list(islice(pattern.matches(tokens), READINGS_MAX))
            reading = _effect(clause, tokens, effect, cuts) if cuts else None
            if reading is not None:
                return reading
    return None


def _effect(
    clause: Clause, tokens: Sequence[Token], effect: Effect, readings: Sequence[Captures]
) -> Reading | None:
    text = clause.text

    def piece(captures: Captures, gap: str) -> list[Token]:
        start, end = captures.get(gap, (0, 0))
        return list(tokens[start:end])

    if effect in {"undo", "back"}:
        return Reading((Say("undo", "back" if effect == "back" else ""),))
    if effect == "reopen":
        return Reading((Say("reopen"),))
    first = readings[0]
    if effect == "field":
        words = piece(first, "task")
        field = next((FIELDS[t.key] for t in tokens if t.key in FIELDS), "")
        about = reference_of(text, words, whole=False)
        return Reading((Say("noted"),), named=about, field=field)
    if effect in {"complete", "told", "delete", "unwanted", "offer_delete"}:
        words = piece(first, "task")
        if effect == "told":
            words = _untimed(words)
        target = reference_of(text, words) if words else PRONOUN
        spoken = text_of(text, trimmed(words))
        if effect == "offer_delete":
            if target.naming == "vague":
                return None
            return Reading((Offer("delete", spoken, target),), context=spoken)
        if words and all(token.key in _SPEAKERS for token in words):
            return Reading((Say("noted"),))
        if effect == "unwanted":
            if target.naming in {"vague", "every"}:
                return None
            certain = _points_out(target, words)
            change = Change("delete", target, told=True, certain=certain)
            return Reading((change,), context=spoken, named=target if certain else None)
        verb = "delete" if effect == "delete" else "complete"
        if target.naming == "vague":
            asked = clause.led and not any(t.key in {"me", "us"} for t in clause.tokens)
            return Reading((Say("howto" if asked else "incomplete", verb),))
        told = effect == "told"
        if told and any(t.key in WAVERING for t in words[:4]) and words[0].key in _PROMISING:
            return Reading((Say("noted"),), context=spoken)
        change = Change("delete" if verb == "delete" else "complete", target, told=told)
        named = target if target.naming != "pronoun" else None
        return Reading((change,), context=spoken if named else "", named=named)
    edits = [
        edit
        for captures in readings
        if (edit := _edit(text, effect, {gap: piece(captures, gap) for gap in captures}))
    ]
    if not edits:
        return None
    if effect == "name":
        edits.reverse()
    intent: Intent = edits[0] if len(edits) == 1 else Reword(tuple(edits))
    named = edits[0].target if edits[0].target.naming != "pronoun" and len(edits) == 1 else None
    return Reading((intent,), named=named)


def _points_out(target: Reference, words: Sequence[Token]) -> bool:
    """Whether the words cannot but name a task: "the gym task", "task 2", a quotation."""
    if target.naming in {"ids", "places", "pronoun", "newest"}:
        return True
    return bool(words) and (words[-1].key in TASK_NOUNS or [w.kind for w in words] == ["quote"])


def _untimed(tokens: list[Token]) -> list[Token]:
    """A report without the time it happened: "it this morning" is "it"."""
    rest = trimmed(tokens)
    for size in (2, 1):
        keys = tuple(token.key for token in rest[-size:])
        if len(rest) > size and keys in _TIMES:
            return _untimed(rest[:-size])
    return rest


_FROM_NOW = (("from", "now", "on"), ("from", "now"), ("going", "forward"), ("instead",),
             ("from", "today"), ("from", "today", "on"))  # fmt: skip
"""What people say after a new name without meaning it as part of the name."""


def _lasting(tokens: list[Token]) -> list[Token]:
    """New words without "from now on"."""
    for ending in _FROM_NOW:
        if len(tokens) > len(ending) and tuple(t.key for t in tokens[-len(ending) :]) == ending:
            return tokens[: -len(ending)]
    return tokens


def _edit(text: str, effect: Effect, gaps: dict[str, list[Token]]) -> Edit | None:
    words = gaps.get("task", [])
    target = reference_of(text, words, whole=False) if words else PRONOUN
    unnamed = {"a", "an", "my", "another", "up"} | TASK_NOUNS | set(FIELDS)
    if words and all(t.key in unnamed for t in words) and target.naming in {"vague", "words"}:
        return None
    words = words[1:] if words and words[0].key == "me" else words
    if (
        len(words) > 1
        and words[0].key in {"a", "an", "another"}
        and words[1].key in (TASK_NOUNS | {"new", "note"})
    ):
        return None
    if words and all(t.key in {"to", "sure", "so"} for t in words):
        return None
    if effect == "undescribe":
        return Edit(target, description="")
    value_tokens = _lasting(trimmed(gaps.get("value", [])))
    if len(value_tokens) > 2 and value_tokens[0].kind == "quote" and value_tokens[1].key in {
        ",", "-", "–", "—", "(", "because", "since"
    }:  # fmt: skip
        value_tokens = value_tokens[:1]
    conditioned = [t.key for t in gaps.get("value", [])[-2:]] == ["if", "possible"]
    if effect == "describe" and conditioned:
        value_tokens = gaps["value"]
    value = text_of(text, value_tokens)
    if not value or value_tokens[0].key in {"so", "sure"}:
        return None
    pointed = _points_out(target, words)
    if effect == "note":
        return Edit(target, description=value) if pointed else None
    if effect == "remark":
        listed = any(t.key in LISTS or t.key in FIELDS or t.key in {"end", "there"} for t in words)
        quoted = [t.kind for t in value_tokens] == ["quote"]
        vague = target.naming in {"every", "vague", "newest"}
        return None if listed or vague or not quoted else Edit(target, description=value)
    if effect == "swap":
        old = text_of(text, trimmed(gaps["old"]))
        wanted = Reference("words", old)
        return Edit(wanted, title=value, replaced=old, swapped=True) if old else None
    if effect == "describe":
        return _described_edit(target, text, value_tokens)
    if effect == "replace" and words[0].start > value_tokens[0].start and not pointed:
        return None
    if effect == "replace":
        return Edit(target, title=value, replaced=text_of(text, trimmed(gaps["old"])))
    if effect == "append":
        return Edit(target, title=value, appended=True)
    if effect == "name":
        return Edit(target, title=value) if pointed else None
    if effect == "move":
        return Edit(target, title=value, dated=True)
    title_tokens, description = described(text, value_tokens)
    title_tokens = _lasting(title_tokens)
    return Edit(target, title=text_of(text, title_tokens), description=description)


def _described_edit(target: Reference, text: str, tokens: list[Token]) -> Edit:
    """Cuts "Y and its title to Z" out of a new description."""
    keys = [token.key for token in tokens]
    for place in range(1, len(keys) - 3):
        if (
            keys[place] == "and"
            and keys[place + 1] in {"the", "its"}
            and FIELDS.get(keys[place + 2]) == "title"
            and keys[place + 3] in {"to", "as"}
        ):
            title = text_of(text, tokens[place + 4 :]) or None
            return Edit(target, title, text_of(text, tokens[:place]))
    return Edit(target, description=text_of(text, tokens))

"""New tasks by evidence: quotations, and words before "down" or "as a task"."""

from collections.abc import Sequence

from taskchat_offline.assignments import assigned_in
from taskchat_offline.frames import WISHING
from taskchat_offline.intents import Add, Intent
from taskchat_offline.lexicon import DETERMINERS, FIELDS, LISTS, PRONOUNS, TASK_NOUNS, word_set
from taskchat_offline.naming import AROUND
from taskchat_offline.normalise import Token
from taskchat_offline.signs import Sign, base_of
from taskchat_offline.titles import titles_of
from taskchat_offline.trimming import trimmed


def additions_of(text: str, body: Sequence[Token], sign: Sign) -> list[Intent] | None:
    """The new tasks of a segment that speaks for adding; none for "add it", None when unclear."""
    quotes = [token for token in body if token.kind == "quote"]
    assigned = assigned_in(text, body)
    pointed = {t.key for t in body if t.kind == "word"} & PRONOUNS
    if quotes:
        known = AROUND | FIELDS.keys() | TASK_NOUNS | DETERMINERS | WISHING | _WITH
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

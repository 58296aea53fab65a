"""Questions about the assistant itself: what it can do, and how to ask for it."""

from collections.abc import Sequence

from taskchat_offline.clauses import Clause
from taskchat_offline.intents import Say
from taskchat_offline.lexicon import (
    ADD,
    AUXILIARIES,
    CHANGE,
    COMPLETE,
    DELETE,
    FIELDS,
    LIST_VERBS,
    LISTS,
)

HELP_PHRASES = (
    "help", "what can you", "what do you do", "who are you", "what are you", "what else can you",
    "how does this work", "how do you work", "what can i", "how can you help", "help me",
    "what are your", "how do i use", "what do you", "what commands", "how does it work",
    "what is this", "i need help", "can you help me", "how can you",
)  # fmt: skip

_WAYS = (
    "what's the way to", "what is the way to", "what's the best way to", "is there a way to",
    "is there any way to", "what happens if", "what happens when", "what would happen",
    "is it possible to", "is there an option to", "do you know how to", "am i able to",
    "what's the command", "what is the command", "what do i say to", "are you able to",
    "can i", "can you", "what is the best way to", "where do i", "how does one",
)  # fmt: skip


def howto_of(clause: Clause, keys: Sequence[str]) -> Say | None:
    """The answer to "how do I ...?" and "can you ...?", or None."""
    asked = keys[:1] == ["how"] and len(keys) > 2 and keys[1] in AUXILIARIES | {"to"}
    if asked and (keys[1] == "to" or keys[2] in {"i", "you", "we", "one", "people"}):
        return Say("howto", topic_of(keys))
    joined = " ".join(keys[:8])
    able = keys[:1] in (["can"], ["could"]) or clause.led
    general = keys[-1] in {"titles", "names", "descriptions", "tasks", "later", "things", "lists"}
    brief = len(keys) <= 5 and not {"to", "my"} & set(keys)
    if (
        clause.asked
        and able
        and general
        and brief
        and set(keys[:3]) & (CHANGE | DELETE | ADD | COMPLETE)
    ):
        return Say("howto", topic_of(keys))
    if joined.startswith(_WAYS) and set(keys) & (
        DELETE | ADD | CHANGE | COMPLETE | {"mark", "tick", "check"}
    ):
        return Say("howto", topic_of(keys))
    return None


def topic_of(keys: Sequence[str]) -> str:
    """The verb that a question about the assistant is about."""
    if set(keys) & set(FIELDS) or "titles" in keys:
        return "update"
    for key in keys:
        if key in DELETE | {"rid", "deleting"}:
            return "delete"
        if key in ADD - {"note", "record"}:
            return "add"
        if key in COMPLETE | {"mark", "tick", "done", "completed"}:
            return "complete"
        if key in CHANGE - {"make", "set", "move", "call", "fix"}:
            return "update"
    return "list" if set(keys) & (LIST_VERBS | LISTS) else "help"

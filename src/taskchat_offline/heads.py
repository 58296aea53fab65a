"""Announcements of a new task: "one more thing for the list: ...". What follows is the title.

The words of a title may look like a command ("new todo - delete old photos"), so an announcement
is recognised before the message is cut into clauses.
"""

from collections.abc import Sequence

from taskchat_offline.lexicon import (
    AUXILIARIES,
    DELETE,
    DETERMINERS,
    FILLERS,
    LISTS,
    MANY_TASKS,
    NUMBER_WORDS,
    ONE_TASK,
    POLITE,
    PUT,
    QUESTION_WORDS,
    word_set,
)
from taskchat_offline.normalise import Token

HEAD_WORDS_MAX = 18
"""Longer openings are sentences of their own."""

_ADDING = PUT | word_set(
    "add adding create make set insert include log record register open start enter schedule "
    "write jot append note give track turn save take adding putting noting creating pencil remember"
)
_NEW = word_set("new another extra additional following next more else")
_WISHES = word_set("need want like would love require fancy")
_THINGS = (ONE_TASK | MANY_TASKS | LISTS | {"reminder", "note", "reminders", "notes"}) - {"do"}
HEAD_WORDS = (
    _ADDING | _NEW | _WISHES | _THINGS | DETERMINERS | FILLERS | POLITE | frozenset(NUMBER_WORDS)
    | word_set(
        "me i i'd i've i'm i'll you we we've we'd us could can would will to that on in "
        "into onto up down "
        "there here for as got have get it one exactly say says verbatim literally word put if "
        "it's no bother trouble mind don't wouldn't possible kind be so the of is are was not too "
        "much hassle with called named titled do going need wish ask something ones too at end "
        "out remember later turn into bottom top list's exact words wording phrase "
        "phrased typed write type spell separate "
        "what how about from my mine thing remember this these should go goes here's here "
        "there's whatever reads come came think thought quick let's let see personal work"
    )
)  # fmt: skip
"""The words an announcement is made of; none of them is the beginning of a title."""

_MARKS = frozenset([":", "-", "–", "—", ",", "\n", "=", ".", "?", "!"])
_VERBATIM = word_set("exactly verbatim literally exact word")
_FOR_LIST = word_set("for on to onto the my our list todo to-do shopping please then and also ok")
_POINTERS = word_set("it that this them these those")


def head_end(tokens: Sequence[Token], start: int = 0) -> int:
    """The place of the first word of the announced title, or 0.

    Args:
        tokens: A sentence.
        start: Where its clause begins.
    """
    for place in range(start, min(len(tokens) - 1, start + HEAD_WORDS_MAX)):
        token = tokens[place]
        if token.kind in {"quote", "rest"}:
            return 0
        if token.key in _MARKS and place > start:
            polite = [t.key for t in tokens[place + 1 : place + 3]]
            if token.key == "," and polite[1:] == [":"] and polite[0] in POLITE:
                continue
            if _announces([t.key for t in tokens[start:place]], token.key):
                rest = place + 1
                while rest < len(tokens) - 1 and tokens[rest].key in _MARKS:
                    rest += 1
                return rest if _is_title(tokens[rest:], token.key) else 0
            if token.key != ",":
                return 0
        elif token.key not in HEAD_WORDS:
            return 0
    return 0


def is_verbatim(tokens: Sequence[Token], end: int) -> bool:
    """Whether the announcement asks for the words exactly as they stand."""
    return any(token.key in _VERBATIM for token in tokens[:end])


def _announces(keys: Sequence[str], mark: str) -> bool:
    words = set(keys)
    if (words & DELETE and not words & PUT) or words & {"not", "is", "are", "was"}:
        return False
    named = words & {"list", "todo", "to-do"} and words <= _FOR_LIST
    if named and (words & {"for", "on", "to"} or (mark == ":" and not words & {"my", "the"})):
        return mark in {":", ",", "-", "–", "—"}
    if "don't" in words and not words & {"mind", "forget", "let"}:
        return False
    if words & {"note", "notes"} and words & {"it", "that", "this", "one"} and words & {"to", "on"}:
        return False
    if words & {"what", "how"}:
        # "what about a new task: ..." announces; "what tasks need doing" asks.
        return bool(words & _NEW) and mark == ":"
    thing = bool(words & _THINGS) or bool(words & {"there", "down", "here"})
    pointed = bool(words & {"this", "these", "that", "following", "one", "it", "something"})
    adding = bool(words & _ADDING)
    new = bool(words & _NEW)
    wish = bool(words & _WISHES)
    if mark in {".", "?", "!"}:
        single = bool(words & {"task", "to-do", "todo", "item", "reminder"})
        whole = bool(words & {"this", "following"}) and adding and words & {"add", "adding", "note"}
        return bool((single and new) or (single and adding and words & {"a", "an"}) or whole)
    if mark != "," and words & LISTS and "for" in words and words & {"one", "thing", "item"}:
        return True
    if mark in {":", "=", "\n"}:
        if words & {"add", "adding"} and words <= POLITE | FILLERS | {"add", "adding"}:
            return True
        return (adding and (thing or pointed or new)) or (new and (thing or wish or pointed))
    # After a comma or a dash more is asked for: a remark ends there as well.
    task = bool(words & (_THINGS - {"thing", "things", "stuff", "list", "lists", "one", "ones"}))
    if words & {"list", "lists"} and words & {"this", "that", "it", "these"} and adding:
        return True
    return (task or "one" in words) and (new or ((adding or wish) and bool(words & {"a", "an"})))


def _is_title(rest: Sequence[Token], mark: str) -> bool:
    if mark == ":" or not rest:
        return bool(rest)
    if mark in {".", "?", "!"} and (len(rest) < 2 or rest[0].key in DELETE | {"i", "then"}):
        return False
    keys = [token.key for token in rest]
    if keys[0] in POLITE and len(keys) <= 2:
        return False
    if keys[0] in QUESTION_WORDS | AUXILIARIES | {"please", "but", "so", "not", "it", "it's"}:
        return False
    return not (len(keys) <= 4 and set(keys[1:3]) & _POINTERS)

"""From words to a `Reference`. Only reads how tasks are named, never which tasks there are."""

import re
import unicodedata
from collections.abc import Sequence

from taskchat.assistant.offline.intents import PRONOUN, Reference, Status
from taskchat.assistant.offline.lexicon import (
    DETERMINERS,
    DONE,
    LISTS,
    MANY_TASKS,
    NOT,
    NUMBER_WORDS,
    OPEN,
    ORDINALS,
    POLITE,
    PRONOUNS,
    TASK_NOUNS,
)
from taskchat.assistant.offline.normalise import Token, text_of

PARTS_MAX = 30
"""Names in one request."""

RANGE_MAX = 50
"""Ids one range may name; as many calls as one response may hold."""

_PLACE_WORDS = frozenset(["from", "off", "on", "in", "to", "onto", "into", "out", "of"])
_OWNERS = frozenset(["my", "the", "our", "this", "that", "your", "me"])
_LIST_KINDS = frozenset(["to-do", "todo", "task", "tasks", "shopping", "to", "do", "todos"])
_EXCEPT = (("except", "for"), ("except",), ("but", "not"), ("apart", "from"), ("other", "than"),
           ("besides",), ("excluding",), ("but",), ("without",))  # fmt: skip
_ALL = frozenset(["all", "everything", "every", "each", "whole", "entire", "lot"])
_SUBJECTS = frozenset(
    [
        "i",
        "i've",
        "we",
        "we've",
        "i'd",
        "have",
        "had",
        "that",
        "which",
        "who",
        "is",
        "are",
        "was",
        "were",
        "been",
        "be",
        "just",
        "already",
        "now",
        "everything",
        "so",
        "far",
        "being",
        "marked",
        "listed",
        "'ve",
        "i'm",
        "with",
    ]
)
_ADDED = frozenset(
    ["added", "created", "made", "entered", "put", "mentioned", "gave", "said", "asked", "wrote"]
)
_LATEST = frozenset(["newest", "latest", "recent", "recently", "most", "previous"])
_RANGE = re.compile(r"(\d{1,6})[-–](\d{1,6})")


def trimmed(tokens: Sequence[Token], *, places: bool = True) -> list[Token]:
    """The tokens without courtesies at the end, and without places such as "on my list"."""
    rest = list(tokens)
    while rest:
        last = rest[-1]
        if is_punctuation(last) and last.key not in "'\"#%)":
            rest.pop()
        elif len(rest) > 1 and (last.key in POLITE or _ends(rest, "thank", "you")):
            rest = rest[:-2] if last.key == "you" else rest[:-1]
        elif cut := _courtesy(rest) or (_place(rest) if places else 0):
            rest = rest[:-cut]
        else:
            break
    while rest and is_punctuation(rest[0]) and rest[0].key not in "#@(":
        rest.pop(0)
    return rest


def is_punctuation(token: Token) -> bool:
    """A comma or the like; symbols and emoji are part of what people write."""
    return token.kind == "mark" and (
        token.text.isspace() or unicodedata.category(token.text[0])[0] in "PC"
    )


def _ends(tokens: Sequence[Token], *words: str) -> bool:
    return tuple(token.key for token in tokens[-len(words) :]) == words


_COURTESIES = (
    ("for", "me"),
    ("if", "you", "can"),
    ("if", "you", "could"),
    ("if", "possible"),
    ("will", "you"),
    ("would", "you"),
    ("could", "you"),
    ("can", "you"),
    ("right", "now"),
    ("as", "well"),
    ("any", "more"),
    ("any", "longer"),
    ("at", "all"),
    ("if", "you", "would"),
    ("when", "you", "can"),
    ("straight", "away"),
    ("if", "you", "don't", "mind"),
    ("after", "all"),
    ("for", "good"),
    ("as", "a", "task"),
    ("as", "a", "reminder"),
    ("as", "a", "to-do"),
    ("as", "a", "todo"),
    ("as", "a", "new", "task"),
    ("as", "an", "item"),
    ("as", "another", "task"),
    ("thank", "you"),
    ("by", "the", "way"),
)


def _courtesy(tokens: Sequence[Token]) -> int:
    return next(
        (len(c) for c in _COURTESIES if len(tokens) > len(c) and _ends(tokens, *c)),
        0,
    )


def _place(tokens: Sequence[Token]) -> int:
    """How many tokens at the end say "from my to-do list" or "of tasks"."""
    place = len(tokens) - 1
    if _ends(tokens, "of", "tasks") or _ends(tokens, "of", "things"):
        place -= 2
    named = place >= 0 and (tokens[place].key in LISTS or tokens[place].key in
                            {"tasks", "todos", "to-dos", "reminders", "to-do's"})  # fmt: skip
    if not named and _ends(tokens, "to", "do") and place >= 2:
        return 0
    if not named:
        return 0
    owner_needed = tokens[place].key not in LISTS
    place -= 1
    while place >= 0 and tokens[place].key in _LIST_KINDS and tokens[place].key != "to":
        place -= 1
    if place >= 0 and tokens[place].key == "to" and tokens[place + 1].key == "do":
        place -= 1
    owned = place >= 0 and tokens[place].key in _OWNERS
    if owned:
        place -= 1
    if place < 1 or tokens[place].key not in _PLACE_WORDS or (owner_needed and not owned):
        return 0
    if tokens[place].key == "of" and tokens[place - 1].key in {"out", "off"}:
        place -= 1
    return len(tokens) - place if place >= 1 else 0


def reference_of(text: str, tokens: Sequence[Token], *, whole: bool = True) -> Reference:
    """How the tokens name tasks; `whole` when they may also be several names."""
    rest = trimmed([token for token in tokens if token.kind != "mark" or is_punctuation(token)])
    for words in _EXCEPT:
        for place in range(1, len(rest) - len(words)):
            if tuple(t.key for t in rest[place : place + len(words)]) == words:
                kept = reference_of(text, rest[:place], whole=False)
                if kept.naming == "every":
                    excluded = reference_of(text, rest[place + len(words) :])
                    return Reference(
                        "every", kept.words, status=kept.status, plural=True, excluded=excluded
                    )
    if len(rest) == 1 and rest[0].kind == "quote":
        return Reference("words", rest[0].text)
    keys = [token.key.removesuffix("'s") for token in rest]
    special = (
        _pronoun(keys)
        or _numbers(keys)
        or _newest(keys)
        or _places(keys)
        or _group(text, rest, keys)
        or _vague(keys)
    )
    if special is not None:
        return special
    quotes = [token.text for token in rest if token.kind == "quote"]
    if len(quotes) == 1 and all(
        t.kind == "quote" or t.key in TASK_NOUNS | DETERMINERS | {"called", "named"} for t in rest
    ):
        return Reference("words", quotes[0])
    parts = _parts(text, rest) if whole else ()
    words = text_of(text, rest).removesuffix("'s").removesuffix("’s")
    return Reference("words", words, parts=parts)


def _parts(text: str, tokens: Sequence[Token]) -> tuple[Reference, ...]:
    pieces: list[list[Token]] = [[]]
    for token in tokens:
        if token.key in {"and", ",", "&", "plus", ";", "\n"} and token.kind != "quote":
            pieces.append([])
        else:
            pieces[-1].append(token)
    named = [piece for piece in pieces if trimmed(piece)]
    if not 2 <= len(named) <= PARTS_MAX:
        return ()
    return tuple(reference_of(text, piece, whole=False) for piece in named)


def _pronoun(keys: Sequence[str]) -> Reference | None:
    if list(keys) in (["its"], ["it"]):
        return PRONOUN
    core = [k for k in keys if k not in {"task", "one", "tasks", "ones", "of", "same", "just"}]
    if keys and all(key in PRONOUNS | {"all", "the", "same", "two"} for key in core):
        if "both" in keys:
            return Reference("pronoun", plural=True, numbers=(2,))
        if any(key in PRONOUNS for key in core):
            many = {"them", "those", "these", "all", "'em"}
            return Reference("pronoun", plural=bool(many & set(keys)))
        if core and set(core) <= {"the", "same"} and "same" in keys:
            return PRONOUN
    if keys and set(keys) <= {"the", "other", "one", "task"} and "other" in keys:
        return Reference("other")
    if list(keys) in (["the", "two"], ["the", "two", "tasks"], ["the", "two", "of", "them"]):
        return Reference("pronoun", plural=True, numbers=(2,))
    return None


def _numbers(keys: Sequence[str]) -> Reference | None:
    numbers: list[int] = []
    labelled = ranged = False
    for key in keys:
        span = _RANGE.fullmatch(key)
        if key.isdecimal() and len(key) <= 9:
            _extend(numbers, int(key), ranged=ranged)
            ranged = False
        elif span is not None:
            numbers.append(int(span[1]))
            _extend(numbers, int(span[2]), ranged=True)
        elif key in NUMBER_WORDS and (labelled or key != "one"):
            _extend(numbers, NUMBER_WORDS[key], ranged=ranged)
            ranged = False
        elif key in TASK_NOUNS | {"number", "numbers", "#", "no", "nr", "id", "ids", "num"}:
            labelled = True
        elif key in {"to", "through", "-", "–", "thru"} and numbers:
            ranged = True
        elif key not in {"and", ",", "&", "the", "with", "or", ".", "my"}:
            return None
    spelled = any(key in NUMBER_WORDS for key in keys)
    if not numbers or ranged or (spelled and not labelled and len(numbers) > 1):
        return None
    return Reference("ids", numbers=tuple(dict.fromkeys(numbers)), plural=len(numbers) > 1)


def _extend(numbers: list[int], number: int, *, ranged: bool) -> None:
    if ranged and numbers and 0 < number - numbers[-1] <= RANGE_MAX:
        numbers.extend(range(numbers[-1] + 1, number + 1))
    else:
        numbers.append(number)


def _newest(keys: Sequence[str]) -> Reference | None:
    allowed = (
        TASK_NOUNS | DETERMINERS | _SUBJECTS | _ADDED | _LATEST
        | {"last", "to", "on", "list", "you"}
    )  # fmt: skip
    named = bool(set(keys) & _ADDED) or bool(set(keys) & {"newest", "latest", "recent"})
    if keys and named and all(key in allowed for key in keys) and set(keys) & TASK_NOUNS:
        return Reference("newest")
    return None


def _places(keys: Sequence[str]) -> Reference | None:
    plain = [key for key in keys if key not in DETERMINERS | TASK_NOUNS | LISTS | {"on", "of"}]
    places: list[int] = []
    status: Status = "all"
    count = 1
    for place, key in enumerate(plain):
        if key in ORDINALS:
            places.append(ORDINALS[key])
        elif key in NUMBER_WORDS and places:
            count = NUMBER_WORDS[key]
        elif key.isdecimal() and len(key) <= 2 and places:
            count = int(key)
        elif key == "oldest":
            places.append(1)
        elif key in OPEN | DONE:
            status = "completed" if key in DONE else "pending"
        elif key == "to" and places and plain[place + 1 : place + 2] == ["last"]:
            places[-1] = 1 - places[-1]
        elif key not in {"and", ",", "&", "very", "in", "from", "position", "place"}:
            return None
    if not places:
        return None
    if len(places) == 2 and places[0] < 0 and places[1] == -1:
        places = places[:1]
    if count > 1 and len(places) == 1:
        span = range(1, count + 1) if places[0] > 0 else range(-count, 0)
        places = list(span)
    return Reference("places", numbers=tuple(places), status=status, plural=len(places) > 1)


def status_of(keys: Sequence[str]) -> Status:
    """The state that a description of tasks speaks of: "the ones I haven't finished yet"."""
    done = any(key in DONE or key in {"did", "achieved", "got"} for key in keys)
    done_state = any(key in DONE for key in keys)
    negated = any(key in NOT for key in keys)
    if any(key in OPEN for key in keys) or (negated and done):
        return "pending"
    return "completed" if done_state else "all"


def _group(text: str, tokens: Sequence[Token], keys: Sequence[str]) -> Reference | None:
    whole = [key for key in keys if key in _ALL]
    stated = [key for key in keys if key in DONE | OPEN]
    glue = (
        _ALL | DONE | OPEN | TASK_NOUNS | DETERMINERS | _SUBJECTS | NOT | LISTS
        | {"of", "them", "on", "in", "list", "single", "stuff", "off", "there", "it", "these"}
    )  # fmt: skip
    if not whole and not stated:
        return None
    if all(key in glue for key in keys):
        plural = bool(whole) or any(key in MANY_TASKS or key in {"them"} for key in keys)
        named = plural or any(key in TASK_NOUNS for key in keys)
        if not named and not (set(keys) & LISTS):
            return None
        return Reference("every", status=status_of(keys), plural=plural or bool(set(keys) & LISTS))
    if keys[0] in {"all", "every", "each"} and any(k in TASK_NOUNS for k in keys):
        rest = [t for t in tokens if t.key not in _ALL | {"of"}]
        return Reference("every", text_of(text, rest), plural=True)
    return None


def _vague(keys: Sequence[str]) -> Reference | None:
    """Names no task at all: "a task", "tasks", "something", "my list"."""
    loose = TASK_NOUNS | LISTS | DETERMINERS | {"something", "someone", "existing", "new", "one"}
    if not all(key in loose for key in keys):
        return None
    if any(key in {"the", "that", "this"} for key in keys) and "task" in keys:
        return PRONOUN
    if any(key in LISTS for key in keys):
        return Reference("every", plural=True)
    return Reference("vague")

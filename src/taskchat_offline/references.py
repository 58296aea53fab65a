"""From words to a `Reference`. Only reads how tasks are named, never which tasks there are."""

import re
from collections.abc import Sequence

from taskchat_offline.intents import PRONOUN, Reference, Status
from taskchat_offline.lexicon import (
    DETERMINERS,
    DONE,
    LISTS,
    MANY_TASKS,
    NOT,
    NUMBER_WORDS,
    OPEN,
    ORDINALS,
    PARTICIPLES,
    PAST,
    PRONOUNS,
    TASK_NOUNS,
    word_set,
)
from taskchat_offline.normalise import Token, text_of
from taskchat_offline.trimming import is_punctuation, trimmed

PARTS_MAX = 30
"""Names in one request."""

RANGE_MAX = 50
"""Ids one range may name; as many calls as one response may hold."""

_EXCEPT = (("except", "for"), ("except",), ("but", "not"), ("apart", "from"), ("other", "than"),
           ("besides",), ("excluding",), ("but",), ("without",))  # fmt: skip
_ALL = word_set("all everything every each whole entire lot whatever anything")
_SUBJECTS = word_set(
    "i i've we we've i'd have had that which who is are was were been be just already now "
    "everything so far being marked listed 've i'm with"
)
_ADDED = word_set("added created made entered put mentioned gave said asked wrote")
_LATEST = word_set("newest latest recent recently most previous")
_RANGE = re.compile(r"(\d{1,6})[-–](\d{1,6})")


def reference_of(text: str, tokens: Sequence[Token], *, whole: bool = True) -> Reference:
    """How the tokens name tasks; `whole` when they may also be several names."""
    while len(tokens) > 2 and (tokens[0].key, tokens[1].key) in {("for", "me"), ("from", "me")}:
        tokens = tokens[2:]
    rest = trimmed([token for token in tokens if token.kind != "mark" or is_punctuation(token)])
    if (excepting := _excepting(text, rest)) is not None:
        return excepting
    if (
        len(rest) > 1
        and rest[0].key == "both"
        and rest[1].key not in {"of", "tasks"}
        and not (rest[1].key == "the" and (len(rest) < 3 or rest[2].key in TASK_NOUNS))
    ):
        if any(token.key in {"and", "&"} for token in rest):
            rest = rest[1:]
        elif rest[1].kind == "word" and rest[1].key not in PRONOUNS | TASK_NOUNS:
            return Reference("every", text_of(text, rest[1:]), plural=True)
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
    named = text_of(text, rest).removesuffix("'s").removesuffix("’s")
    return Reference("words", named, parts=parts)


def _excepting(text: str, tokens: Sequence[Token]) -> Reference | None:
    """Reads “everything except the rent”: cut at the first exception only, or texts get slow."""
    keys = [token.key for token in tokens]
    for place in range(1, len(keys) - 1):
        size = next((len(w) for w in _EXCEPT if tuple(keys[place : place + len(w)]) == w), 0)
        if not size:
            continue
        kept = reference_of(text, tokens[:place], whole=False)
        if kept.naming != "every" or place + size >= len(tokens):
            return None
        spared = reference_of(text, tokens[place + size :])
        return Reference("every", kept.words, status=kept.status, plural=True, excluded=spared)
    return None


def _parts(text: str, tokens: Sequence[Token]) -> tuple[Reference, ...]:
    pieces: list[list[Token]] = [[]]
    for token in tokens:
        if token.key in {"and", ",", "&", "plus", ";", "\n"} and token.kind != "quote":
            pieces.append([])
        else:
            pieces[-1].append(token)
    named = [piece for piece in pieces if trimmed(piece)]
    named = [piece for place, piece in enumerate(named) if not place or not _is_remark(piece)]
    if len(named) == 1 < len(pieces):
        return (reference_of(text, named[0], whole=False),)
    if not 2 <= len(named) <= PARTS_MAX:
        return ()
    parts = tuple(reference_of(text, piece, whole=False) for piece in named)
    # "drop everything and call mom" is no order to delete all tasks.
    return () if any(part.naming == "every" and not part.words for part in parts) else parts


_REMARKS = word_set(
    "lol haha whew phew yay hurray hooray ha hehe finally sorry argh ugh tick please thanks mate "
    "love cheers ok okay right yes"
)


def _is_remark(piece: Sequence[Token]) -> bool:
    """A reason or an exclamation after a name: "the gate, the neighbours fixed it"."""
    keys = [token.key for token in piece if token.kind != "mark"]
    if all(key in _REMARKS for key in keys):
        return True
    if keys[0] in {"he's", "she's", "they're", "it's", "i'm", "we're", "thank", "thankfully"}:
        return True
    stated = len(keys) > 2 and keys[0] in {"the", "my", "our", "his", "her", "your", "they", "she"}
    return stated and any(key in PARTICIPLES | PAST for key in keys[1:4]) and keys[-1] in (
        PRONOUNS | {"now", "already", "anyway", "off", "down", "away", "up", "out"}
    )  # fmt: skip


def _pronoun(keys: Sequence[str]) -> Reference | None:
    if list(keys) in (["its"], ["it"]):
        return PRONOUN
    core = [k for k in keys if k not in {"task", "one", "tasks", "ones", "of", "same", "just"}]
    if keys and all(key in PRONOUNS | {"all", "the", "same", "two"} for key in core):
        if "both" in keys:
            return Reference("pronoun", plural=True, numbers=(2,))
        if any(key in PRONOUNS for key in core):
            many = {"them", "those", "these", "all", "'em"}
            every = "all" if "all" in keys else ""
            return Reference("pronoun", every, plural=bool(many & set(keys)))
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
    plain = [
        key for key in keys if key not in DETERMINERS | TASK_NOUNS | LISTS | {"on", "of", "them"}
    ]
    places: list[int] = []
    status: Status = "all"
    count = 1
    for place, key in enumerate(plain):
        if key == "middle":
            places.append(0)
        elif key in ORDINALS:
            places.append(ORDINALS[key])
        elif key in NUMBER_WORDS and places and "of" in keys[: list(keys).index(key)]:
            continue
        elif key in NUMBER_WORDS and places:
            count = NUMBER_WORDS[key]
        elif key.isdecimal() and len(key) <= 2 and places:
            count = int(key)
        elif key == "oldest":
            places.append(1)
        elif key in OPEN | DONE:
            status = "completed" if key in DONE else "pending"
        elif key == "to" and places and plain[place + 1 : place + 2] == ["last"]:
            places[-1] = -places[-1]
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
        | (frozenset(NUMBER_WORDS) if whole else frozenset())
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

"""A wish to see tasks, by the evidence of the whole message rather than of one clause."""

from collections.abc import Sequence

from taskchat_offline.intents import Show, Status
from taskchat_offline.lexicon import (
    ASKED_WORDS,
    CHANGE,
    DELETE,
    DONE,
    FILLERS,
    LIST_VERBS,
    LISTS,
    MANY_TASKS,
    ONE_TASK,
    OPEN,
    ORDINALS,
    QUESTION_WORDS,
    word_set,
)
from taskchat_offline.normalise import Token
from taskchat_offline.statuses import status_asked

STRANGE_MAX = 1
"""Words of a wish to see tasks that need not be known; a second one is what the wish is about."""

_SEEING = LIST_VERBS | word_set(
    "look see looking narrow filter limit restrict screen go run curious wondering wonder know "
    "show tell reading showing telling giving listing interested peek glance walk take scroll"
)
_KNOWN = (
    ASKED_WORDS
    | FILLERS
    | word_set(
        "business duties narrow filter limit restrict screen curious wondering wonder "
        "interested whatever whichever status state states condition otherwise otherwise's "
        "out they're them it down only those which where appreciate grateful possible if "
        "could let entire haven't hasn't isn't aren't ought yet read out than to through "
        "finished been i'd mind you'd would reading telling giving listing peek glance peep "
        "walk scroll matter no how far ticked-off unticked ones from behind lie lies stand "
        "stands them sort kind done's marked as well under belt dealt with open closed both "
        "any who don't care because want curious to including there's irrespective around "
        "round to got what's been still be having by now time moment regardless whether it "
        "they have"
    )
)
_ACTING = (
    DELETE
    | CHANGE
    | word_set("add put remind mark tick delete rename remove cross note enter insert")
    - {"set", "make", "turn", "move"}
)
_BOTH_STATES = (
    "and all", "or otherwise", "or not", "or no", "whatever its status", "whatever their status",
    "whatever state", "whatever is done", "including", "as well as", "regardless", "irrespective",
    "open and closed", "no matter", "done or", "finished or", "too", "incl",
)  # fmt: skip
_PENDING = (
    "left to", "yet to", "still to", "have to", "need to", "not done", "still open", "remains",
    "still have", "to get through", "haven't", "outstanding", "not yet",
)  # fmt: skip


def listing_of(tokens: Sequence[Token]) -> Show | None:
    """The list that the message asks for, or None when it says something else besides.

    A wish needs a sign of seeing (a verb, a question word), a sign of tasks (the list, tasks, a
    state) and hardly a word beyond.
    """
    words = [token for token in tokens if token.kind != "mark"]
    if len(words) < 3 or any(token.kind != "word" for token in words):
        return None
    keys = [token.key for token in words]
    seeing = set(keys) & (_SEEING | QUESTION_WORDS) or keys[:2] in (
        ["are", "there"],
        ["is", "there"],
    )
    seeing = seeing or (keys[0] in {"just", "only"} and set(keys) & DONE)
    state = set(keys) & (DONE | OPEN | {"behind", "yet", "achieved", "accomplished"})
    tasks = set(keys) & (LISTS | MANY_TASKS | {"to-dos", "business", "duties"}) or (
        set(keys) & {"every", "each"} and set(keys) & ONE_TASK
    )
    if set(keys) & (ONE_TASK | frozenset(ORDINALS) - {"last"}) - {"one"} and (
        not set(keys) & {"every", "each", "single"}
    ):
        return None
    whatever = {"whatever", "everything", "what", "anything", "what's"} & set(keys) and state
    if not seeing or not (tasks or whatever) or _acts(keys):
        return None
    asked = tokens[-1].key == "?" or keys[0] in QUESTION_WORDS
    if (
        keys[0] in {"i", "we", "i've", "my", "the"}
        and not asked
        and not (
            set(keys) & {"see", "know", "look", "show", "tell", "list", "curious", "wondering"}
        )
    ):
        return None
    strange = [key for key in keys if key not in _KNOWN and not key.isdecimal()]
    if len(strange) > STRANGE_MAX or any(key.isdecimal() for key in keys):
        return None
    if strange and not (strange[0].endswith(("ly", "ing")) or len(keys) > 6):
        return None
    return Show(_status(keys))


def _acts(keys: Sequence[str]) -> bool:
    """Whether an order to change something is among the words."""
    if set(keys) & {"take", "get", "check", "pull", "go"} and "off" in keys and "i've" not in keys:
        return True
    for at, key in enumerate(keys):
        if key not in _ACTING:
            continue
        ticked = key in {"mark", "tick", "cross"} and {"i", "i've", "haven't", "to"} & set(
            keys[:at]
        )
        asks = key in {"check", "show", "bring", "call"} or ticked
        if not asks:
            return True
    return False


def _status(keys: Sequence[str]) -> Status:
    said = f" {' '.join(keys)} "
    done = set(keys) & DONE
    if any(f" {words} " in said for words in _BOTH_STATES) and (
        done or set(keys) & OPEN or "status" in keys or "state" in keys
    ):
        return "all"
    if any(f" {words} " in said for words in _PENDING) and "already" not in keys:
        return "pending"
    return status_asked(list(keys))

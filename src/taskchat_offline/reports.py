"""What statements tell of tasks: done, not done, done by others. Words only."""

from collections.abc import Sequence

from taskchat_offline.editing import WAVERING
from taskchat_offline.lexicon import DONE, NOT, PARTICIPLES, QUESTION_WORDS, word_set

_ADVERBS = word_set("been all now finally just already")
PASSIVE = word_set("is are was were been got has have")


def ends_done(keys: Sequence[str]) -> bool:
    """“Delete spam is done” tells of a task; “delete all that is done” is an order."""
    be = next((place for place, key in enumerate(keys) if key in {"is", "are"}), 0)
    told = 1 < be < len(keys) - 1 and all(
        key in DONE | {"now", "all", "already", "finally"} for key in keys[be + 1 :]
    )
    open_ended = {"that", "which", "what", "everything", "all", "whatever", "who", "anything",
                  "whichever", "one", "ones", "so"}  # fmt: skip
    return told and not open_ended & set(keys[1:be])


def unfinished(keys: Sequence[str]) -> bool:
    """Statements such as "I haven't done the laundry yet" and "I almost finished it"."""
    speaks = bool(keys) and (
        keys[0] in {"i", "i've", "i'm", "we", "we've", "we're", "haven't", "didn't", "it", "it's",
                    "that's", "the", "my", "still", "not", "task", "i'll", "we'll", "that", "i'd"}
    )  # fmt: skip
    negated = any(key in NOT and key not in {"yet"} for key in keys)
    finished = next((place for place, key in enumerate(keys) if key in DONE), len(keys))
    wavering = any(key in WAVERING for key in keys[1 : min(finished, 6)]) and keys[:1] != ["the"]
    return speaks and (negated or wavering or "?" in keys)


def of_others(keys: Sequence[str]) -> bool:
    """What somebody did for themselves: "my flatmate has done her washing"."""
    if keys[0] in {"i", "i've", "we", "we've"} or keys[0] in PARTICIPLES:
        return False
    has = next((place for place, key in enumerate(keys[:5]) if key in {"has", "have", "had"}), -1)
    past = next((place for place, key in enumerate(keys[:6]) if key in PARTICIPLES | DONE), -1)
    if max(has, past) < 1:
        return False
    return bool({"her", "his", "their"} & set(keys[max(past, has) + 1 :][:3]))


def passive(keys: Sequence[str]) -> bool:
    """“The contract got signed at noon”, “chapter 3 is read”."""
    if keys[0] in QUESTION_WORDS:
        return False
    done = PARTICIPLES | {"read", "put", "cut", "set", "hit", "shut"}
    for place, key in enumerate(keys[:8]):
        if key in PASSIVE - {"have"} or key.endswith("'s"):
            following = [k for k in keys[place + 1 : place + 4] if k not in _ADVERBS]
            if place and following and following[0] in done:
                return True
    return False

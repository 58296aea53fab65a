"""Which tasks a wish to see tasks is about: all, the pending ones or the finished ones."""

from collections.abc import Sequence

from taskchat_offline.intents import Status
from taskchat_offline.lexicon import AUXILIARIES, DONE, NOT, OPEN, QUESTION_WORDS, word_set
from taskchat_offline.references import status_of

HIDING = word_set("hide skip omit exclude ignore filter")
"""Verbs that say what not to show."""

_LEFT_OUT = HIDING | word_set("without excluding except minus ignoring skipping hiding omitting")
_TICKED = word_set("tick check cross strike")
_DUTIES = word_set("else have need left supposed got must i've remains still")
_BESIDES = word_set("too also even well incl plus")
_WHOLE = word_set("whole all full entire everything every list lot complete total shebang")


def hidden_status(keys: Sequence[str]) -> Status | None:
    """The tasks that remain when others are to be left out: "hide the completed ones"."""
    for place, key in enumerate(keys):
        sorts = key == "filter" and keys[-2:-1] in (["by"], ["for"], ["on"])
        left_out = (key in _LEFT_OUT and not sorts) or (key == "leave" and "out" in keys[place:])
        left_out = left_out or (key == "but" and keys[place + 1 : place + 2] == ["not"])
        if not left_out:
            continue
        after = keys[place + 1 : place + 6]
        negated = any(word in NOT for word in after if key != "but")
        if any(word in DONE for word in after):
            return "completed" if negated else "pending"
        if any(word in OPEN for word in after):
            return "completed"
    return None


def states_done(keys: Sequence[str]) -> bool:
    """Whether the words say that all is done, rather than ask to see what is."""
    be = next((place for place, key in enumerate(keys) if key in {"is", "are"}), 0)
    if keys[:1] == ["everything's"]:
        return len(keys) > 1 and keys[-1] in DONE
    return (
        keys[0] in {"everything", "all"}
        and 0 < be < len(keys) - 1
        and not set(keys[:be]) & {"that", "which"}
        and all(key in DONE | {"now", "all", "finally"} for key in keys[be + 1 :])
    )


def _without_at_all(keys: Sequence[str]) -> list[str]:
    return [
        key
        for place, key in enumerate(keys)
        if not (key == "all" and keys[place - 1 : place] == ["at"])
        and not (key == "at" and keys[place + 1 : place + 2] == ["all"])
    ]


def status_asked(keys: Sequence[str]) -> Status:
    """The filter that a wish to see tasks means."""
    keys = ["done" if key == "ready" else key for key in _without_at_all(keys)]
    if (shown := hidden_status(keys)) is not None:
        return shown
    both = {
        "included",
        "including",
        "whether",
        "both",
        "either",
        "regardless",
        "include",
        "incl",
        "inc",
    }
    phrase = f" {' '.join(keys)} "
    if any(words in phrase for words in (" and all ", " or otherwise ")):
        return "all"
    if " off my plate " in phrase:
        return "completed"
    if any(words in phrase for words in (" left to ", " yet to ", " to get through ")):
        return "pending"
    done = any(key in DONE for key in keys)
    if set(keys) & both and (done or set(keys) & OPEN):
        return "all"
    if " done and not" in phrase or " done or not" in phrase or " and not done" in phrase:
        return "all"
    if done and set(keys) & OPEN and set(keys) & {"and", "+", "&", "plus", "or", "as"}:
        return "all"
    if (
        done
        and " to do" in phrase
        and "and" in keys
        and keys.count("do") == 1
        and (set(keys) & {"everything", "all", "overview", "both"})
    ):
        return "all"
    if " or not" in phrase or (" and not" in phrase and (done or set(keys) & _TICKED)):
        return "all"
    ticked = set(keys) & _TICKED and not (_TICKED & set(keys) == {"check"} and "off" not in keys)
    if ticked and {"did", "i've", "have", "i", "we"} & set(keys):
        return "pending" if set(keys) & NOT or "to" in keys else "completed"
    if set(keys) & {"behind", "accomplishments", "achievements"} or (
        "through" in keys and {"got", "get", "i've"} & set(keys)
    ):
        return "completed"
    if set(keys) & {"missing", "backlog"}:
        return "pending"
    if done and "and" in keys and keys[-1] in NOT and keys.count("what") + keys.count("what's") > 1:
        return "all"
    if phrase.endswith(" got on "):
        return "pending"
    if done and set(keys) & _BESIDES and set(keys) & _WHOLE:
        return "all"
    mine = {"have", "did", "i've", "we've"} & set(keys) and {"managed", "did"} & set(keys)
    if mine and not set(keys) & NOT and (done or "achieved" in keys):
        return "completed"
    if keys[0] in {"have", "did"} and done and set(keys) & {"anything", "something"}:
        return "pending" if set(keys) & NOT else "completed"
    if (
        set(keys) & {"have", "did", "am", "has", "is", "are"}
        and set(keys) & {"everything", "all", "every"}
        and (done and keys[0] in AUXILIARIES)
    ):
        return "pending"
    if (
        (" get done" in phrase and not mine)
        or " be done" in phrase
        or " needs doing" in phrase
        or " need doing" in phrase
        or " getting done" in phrase
    ):
        return "pending"
    duty = (" to do" in phrase and set(keys) & _DUTIES) or any(
        piece in phrase for piece in (" should i do", " must i do", " do i do", " on my plate",
                                      " need to do", " what's next", " up next", " do next",
                                      " i do today", " to get done", " i should do", " i must do",
                                      " going on", " look at next", " should i be doing")
    )  # fmt: skip
    if duty and not done:
        return "pending"
    if " did i do" in phrase or " have i done" in phrase or " did i get done" in phrase:
        return "completed"
    if " i've done" in phrase or " i did" in phrase or "achieved" in keys:
        return "completed" if not set(keys) & NOT else "pending"
    # "my complete list" is the whole list; "did I complete" is about what is done.
    told = keys[-1] == "complete" or {"are", "did", "have"} & set(keys)
    if told or " complete tasks" in phrase:
        return status_of(keys)
    if keys[0] in QUESTION_WORDS and {"haven't", "hasn't"} & set(keys):
        return "pending"
    return status_of([key for key in keys if key != "complete"])

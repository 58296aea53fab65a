"""Where a new request begins inside a sentence."""

from collections.abc import Sequence

from taskchat_offline.lexicon import (
    ADD,
    CHANGE,
    COMPLETE,
    DELETE,
    DONE,
    FIELDS,
    LIST_VERBS,
    LIST_WORDS,
    LISTS,
    NOT,
    ONE_TASK,
    ORDINALS,
    PARTICIPLES,
    PUT,
    QUESTION_WORDS,
    STRONG,
    TASK_NOUNS,
    word_set,
)
from taskchat_offline.normalise import Token
from taskchat_offline.references import reference_of

_POINTERS = word_set("it that them this these those both all everything #")


_REWORDING = word_set("change update edit amend modify correct rename alter reword make turn")
_SPEAKERS = word_set(
    "he's she's they're i i've i'm i'd i'll we we've we're it it's that's there's he she they"
)


def opens_request(tokens: Sequence[Token]) -> bool:
    """Whether a request to the assistant begins here, rather than words of a title."""
    if len(tokens) < 2:
        return False
    first, second = tokens[0].key, tokens[1].key
    near = [token.key for token in tokens[:14]]
    if first in {"show", "display", "list", "see", "view", "give", "tell", "read", "what",
                 "what's", "which", "how", "know", "look"}:  # fmt: skip
        listed = all(key in LIST_WORDS for key in near[:4])
        return listed or (first in {"show", "display"} and second in {"me", "all", "my", "the"})
    if first == "give" and second in {"it", "that"}:
        return any(key in FIELDS for key in near[2:6])
    if first == "mark":
        return any(key in DONE | {"off", "not", "undone", "incomplete"} for key in near[1:])
    if first in STRONG:
        return first != "remind" or second in {"me", "us"}
    if first in {"remember", "forget"}:
        return second in {"to", "about", "that"} or first == "forget"
    if first in {"check", "cross", "strike", "scratch", "take"}:
        off = next((place for place, key in enumerate(near) if key in {"off", "out"}), 0)
        last = off == len(near) - 1 or near[off + 1 :] in (["it"], ["there"])
        return (off > 0 and (off == 1 or "list" in near or last)) or _points(tokens)
    if first in {"put", "stick", "pop", "throw", "include"}:
        return "list" in near or near[-2:] == ["on", "there"]
    if first in {"make", "create", "set", "start", "new", "another", "jot", "note", "write"}:
        made = any(key in ONE_TASK | {"down", "note"} for key in near[1:4])
        return made or second in {"it", "that"} or (first == "set" and bool(DONE & set(near)))
    if first == "get":
        return second == "rid"
    if first in {"todo", "to-do"}:
        return True
    if first == "call":
        return second in {"it", "that"}
    return first in DELETE | COMPLETE | CHANGE | {"lose"} and _points(tokens)


def _points(tokens: Sequence[Token]) -> bool:
    """Whether what follows the verb names a task as a task: "it", "task 2", "the gym task"."""
    after = tokens[1:9]
    if not after:
        return False
    if after[0].key in _POINTERS or after[0].kind == "quote":
        return True
    if after[0].key.isdecimal() and all(
        token.key.isdecimal() or token.key in {"and", ",", "&", "then", "please"}
        for token in after[1:3]
    ):
        return True
    keys = [token.key for token in after]
    ordinal = any(key in ORDINALS for key in keys[:3])
    named = any(key in TASK_NOUNS - {"one"} or key in LISTS for key in keys)
    return ordinal or (named and keys[0] in {"the", "my", "task", "tasks", "all", "any", "every"})


def opens_clause(before: Sequence[Token], joint: Sequence[Token], rest: Sequence[Token]) -> bool:
    """Whether the words after a comma or "and" are a request or statement of their own."""
    joints = {token.key for token in joint}
    first = rest[0].key
    if paused_alone(joints, rest):
        return True
    if "so" in joints and _rewords(rest):
        return False
    if before[0].key in {"for", "in", "on", "under"} and any(t.key in FIELDS for t in rest[:4]):
        return False
    leaves_out = before[0].key in {"hide", "skip", "omit", "exclude", "leave", "ignore"}
    if leaves_out and first in LIST_VERBS:
        return False
    if first in {"what", "which"} and rest[-1].key in NOT and len(rest) < 4:
        return False
    if opens_request(rest):
        return True
    if before[0].key in {"it's", "that's", "it"} and "not" in {t.key for t in before[1:3]}:
        return False
    paused = bool(joints & {",", ";", "but", "so", "because", "since", "-", "–", "—", "("})
    keys = [token.key for token in rest[:12]]
    if first in _SPEAKERS and (paused or (first not in {"it", "he", "she", "they"})):
        return True
    if first in {"not", "don't"} and paused:
        return True
    reported = len(keys) < 4 and keys[-1] in PARTICIPLES and first not in PARTICIPLES
    if paused and reported and before[0].key not in ADD | PUT | CHANGE | DELETE | {"remind"}:
        return True
    if paused and first.endswith("'s") and len(keys) > 1 and keys[1] in PARTICIPLES | DONE:
        return True
    if paused and first in {"that", "this", "it", "which"} and len(keys) > 1 and keys[1] in _MODALS:
        return True
    if "but" in joints and first in NOT:
        return True
    if "so" in joints and first in COMPLETE | DELETE and len(keys) > 1:
        return True
    if paused and first in {"isn't", "aren't", "wasn't", "right", "thank", "thankfully"}:
        return True
    if paused and first in _REWORDING and {"to", "into", "as"} & set(keys[2:]) and (
        before[0].key not in ADD | PUT | CHANGE | {"remind", "note", "in", "for", "on", "with"}
    ):  # fmt: skip
        return True
    states = any(
        keys[i] in {"is", "are", "was"} and DONE & set(keys[i + 1 : i + 4])
        for i in range(len(keys))
    )
    voiced = before[0].key in _SPEAKERS or before[0].key in PARTICIPLES
    if first in PARTICIPLES | {"been", "had"} and voiced and "and" in joints:
        return True
    if paused and first == "the" and keys[-1] in {"isn't", "aren't", "not"} and len(keys) < 6:
        return True
    asks = {"can", "should", "needs", "must", "ought"} & set(keys[1:7])
    if asks and paused and before[0].key not in ADD | CHANGE | {"remind"} and _named(rest):
        return True
    if asks and first in {"the", "task", "number", "#"} and any(t.key in DONE for t in before):
        return True
    if states and first in {"the", "my", "task", "that", "this", "number", "#"}:
        return paused or any(token.key in DONE for token in before)
    listing = before[0].key in LIST_VERBS | QUESTION_WORDS
    if first in {"done", "finished"} and paused and not listing:
        return True
    if "but" in joints and first in {"keep", "leave", "ignore"}:
        return True
    if paused and before[0].key in _ORDERS and _is_reason(rest):
        return True
    if ({"also", "then"} & joints or paused) and before[0].key in ADD and _edits(rest):
        return True
    return paused and first in {"what", "what's", "which", "how", "is", "are", "do"}


def breaks_off(before: Sequence[Token], joint: Sequence[Token], rest: Sequence[Token]) -> bool:
    """Whether a request begins where no comma was typed: "the bins are out you can tick that"."""
    if before[0].key in ADD | PUT | {"remind", "remember", "note", "don't"} or len(joint) == 0:
        return False
    if before[-1].key in {"before", "until", "unless", "if", "when"}:
        return False
    if joint[0].key == ":" and any(t.key in FIELDS for t in rest[:5]):
        return False
    if joint[0].key == ":":
        last = before[-1].key
        plain = not any(t.key in FIELDS or t.key in TASK_NOUNS for t in before)
        asks = rest[0].key in QUESTION_WORDS and any(t.key in TASK_NOUNS for t in rest)
        asks = asks or (bool(_MODALS & {t.key for t in rest[1:7]}) and _named(rest))
        return plain and last not in _INTRODUCING and (opens_request(rest) or asks)
    return opens_request(rest) and _points(rest)


_MODALS = word_set("can could should would will must needs one task'd might may helps")
_INTRODUCING = word_set("read reads say says saying be is to as called named it that this")
_ORDERS = (DELETE | COMPLETE | {"tick", "check", "mark", "cross", "take", "get"}) - {"clear"}
_FINITE = word_set(
    "is are was were isn't aren't wasn't has have had hasn't haven't can can't cannot won't will "
    "got went came fell broke gave let says said doesn't didn't does did called turned moved "
    "makes made works needs wants changed closed"
)


def _named(rest: Sequence[Token]) -> bool:
    """Whether a task is named as one before "should" or "can": "the last one should be ..."."""
    until = next((place for place, t in enumerate(rest) if t.key in _MODALS | {"ought"}), 0)
    named = rest[:until]
    keys = {token.key for token in named}
    return rest[0].kind == "quote" or (
        rest[0].key in {"the", "my", "task", "number", "#", "that"}
        and bool(keys & (TASK_NOUNS | set(ORDINALS) | {"task", "number", "#"}))
    )


def _is_reason(rest: Sequence[Token]) -> bool:
    """A statement after an order, its reason: "scrap the run, my knee's had it"."""
    keys = [token.key for token in rest[:7]]
    if keys[0] in _FINITE or "done" in keys:
        return False
    return any(
        (key in _FINITE or (key.endswith("'s") and len(keys) > place + 2))
        for place, key in enumerate(keys[:6])
        if place or key.endswith("'s")
    )


def _edits(rest: Sequence[Token]) -> bool:
    """An edit of a task by its title: "change Swimming to Swimming with Ida"."""
    keys = [token.key for token in rest]
    return keys[0] in {"change", "update", "edit", "amend", "modify"} and "to" in keys[2:]


def paused_alone(joints: set[str], rest: Sequence[Token]) -> bool:
    """Whether a bare order ends the sentence: ", please delete", ", fix it"."""
    orders = (
        DELETE | COMPLETE | {"add", "fix", "correct", "change", "update", "amend", "tick", "mark"}
    )
    keys = [token.key for token in rest]
    keys = keys[1:] if keys[0] == "to" and len(keys) > 1 else keys
    return (
        bool(joints & {",", ";", "-", "–", "—", "so"})
        and keys[0] in orders
        and all(key in {"it", "that", "this", "please", "thanks", "off"} for key in keys[1:])
    )


def ends_in_order(before: Sequence[Token], rest: Sequence[Token]) -> bool:
    """Whether an order about "it" ends the sentence, no comma before: "... to the shop add it"."""
    if not 2 <= len(rest) <= 8 or rest[0].key not in ADD | DELETE | {"tick", "mark", "put"}:
        return False
    if before[0].key in ADD | PUT | CHANGE | {"remind", "note", "don't"} or before[-1].key in {
        "to", "and", "don't", "not", "should", "can", "could", "you", "or", "i", "please", ",", ":"
    }:  # fmt: skip
        return False
    keys = [token.key for token in rest]
    closing = {"it", "that", "this", "to", "on", "my", "the", "list", "please", "as", "a", "task",
               "off", "done", "for", "me", "thanks", "now", "from", ".", "pls", "plz",
               "complete", "too"}  # fmt: skip
    return keys[1] in {"it", "that", "this"} and all(key in closing for key in keys[2:])


def _rewords(rest: Sequence[Token]) -> bool:
    """Whether "so" goes on "it says ...", the new wording of an edit."""
    keys = [token.key for token in rest[:3]]
    if keys[:1] == ["that"]:
        keys = keys[1:]
    if keys[:2] in (["it's", "called"], ["it's", "named"]):
        return True
    return keys[:1] in (["it"], ["they"]) and bool(
        {"says", "say", "reads", "read", "is", "becomes"} & set(keys[1:])
    )


def gapped(text: str, verb: Token, rest: Sequence[Token]) -> bool:
    """Whether the rest is "task 2 to Y" after "change task 1 to X and"."""
    if verb.key not in CHANGE:
        return False
    to = next((place for place, token in enumerate(rest[:7]) if token.key in {"to", "as"}), 0)
    return to > 0 and reference_of(text, rest[:to], whole=False).naming in {"ids", "places"}

"""Courtesies and questions: what asks for an answer and changes nothing."""

from collections.abc import Sequence

from taskchat_offline.clauses import Clause
from taskchat_offline.helping import HELP_PHRASES, howto_of, topic_of
from taskchat_offline.intents import Ask, Intent, Reference, Say, Show
from taskchat_offline.lexicon import (
    ADD,
    ASKED_WORDS,
    AUXILIARIES,
    CHANGE,
    COMPLETE,
    DELETE,
    DONE,
    FIELDS,
    LIST_VERBS,
    LIST_WORDS,
    LISTS,
    MANY_TASKS,
    OPEN,
    QUESTION_WORDS,
    TASK_NOUNS,
    word_set,
)
from taskchat_offline.normalise import Token, text_of, tokens_of
from taskchat_offline.references import reference_of
from taskchat_offline.statuses import HIDING, hidden_status, states_done, status_asked
from taskchat_offline.trimming import trimmed

_WISHES_TO_SEE = word_set(
    "show see list view display overview rundown recap summary look shebang run give tell read"
)
_MINE = word_set("i we i've my me")


_QUESTION_OPENING = (
    ADD
    | DELETE
    | COMPLETE
    | word_set(
        "i we you already ever there a an any task reminder for about to have got remember called "
        "named still yet just been tasks the my we've something anything item finish done added "
        "deleted removed finished completed mark marked created put do"
    )
)
_QUESTION_ENDING = (
    DONE
    | OPEN
    | word_set(
        "have any description note notes details on there list my in the yet already marked as "
        "still off or not been deleted gone it a"
    )
)


def question_of(clause: Clause) -> Intent | None:
    """What a question or a wish to see tasks asks for, or None when it is neither."""
    text, tokens = clause.text, clause.tokens
    keys = [token.key for token in tokens]
    phrase = " ".join(keys)
    if clause.asked and clause.led and phrase.startswith(("help with", "do", "help me with")):
        return Say("help")
    helped = any(phrase == p or phrase.startswith(p + " ") for p in HELP_PHRASES)
    if helped and not set(keys) & LISTS:
        return Say("help")
    if (howto := howto_of(clause, keys)) is not None:
        return howto
    opening = keys[0]
    if (
        opening in {"show", "tell", "explain", "teach"}
        and "how" in keys[1:3]
        and "many" not in keys
    ):
        return Say("howto", topic_of(keys))
    if keys[:2] == ["get", "rid"]:
        return None
    if keys[0] in {"that", "it", "this"} and {"needs", "should", "must", "belongs"} & set(
        keys[1:3]
    ):
        return None
    if opening == "remind" and keys[1:2] in (["me"], ["us"]):
        asks = keys[2:3] and keys[2] in QUESTION_WORDS | {"of"} and _closed(keys[2:], ASKED_WORDS)
        if asks:
            return Show(status_asked(keys[2:]), counted="many" in keys)
        unknown = keys[2:3] and keys[2] in QUESTION_WORDS - {"when"} and keys[3:4] != ["to"]
        return Say("unknown") if unknown else None
    if opening in LIST_VERBS | QUESTION_WORDS or _is_list_name(keys):
        return _list_or_ask(clause, keys)
    told = opening in {"had", "have", "has"} and not clause.asked and keys[1:2] and (
        keys[1] not in {"i", "you", "we", "the", "any", "they"}
    )  # fmt: skip
    if opening in AUXILIARIES and not told and (clause.asked or not clause.led):
        return _auxiliary(text, tokens, keys)
    if opening in {"any", "anything"} and set(keys[:3]) & set(FIELDS) and clause.asked:
        place = next((p for p, key in enumerate(keys) if key in _ABOUT), 0)
        if place and place + 1 < len(keys):
            return Ask(reference_of(text, tokens[place + 1 :], whole=False))
    whole = opening in {"anything", "everything", "all", "nothing"}
    if opening == "any" and set(keys) & (TASK_NOUNS | OPEN | DONE):
        whole = True
    if whole and _closed(keys, ASKED_WORDS) and not states_done(keys):
        return Show(status_asked(keys))
    return Show(status_asked(keys)) if _names_group(keys) else _embedded(keys)


def _names_group(keys: Sequence[str]) -> bool:
    """Names tasks by their state and asks nothing: "the open ones please"."""
    named = set(keys) & (MANY_TASKS | {"list"}) and set(keys) & (DONE | OPEN)
    spoken = set(keys) & (AUXILIARIES | {"all"} | _MINE - {"my"})
    told = keys[0] in DONE - {"finished"}
    return bool(named) and _closed(keys) and len(keys) <= 6 and not spoken and not told


def gist_of(clause: Clause) -> Show | None:
    """A wish to see tasks in words of its own: "the whole shebang, finished ones included"."""
    keys = [token.key for token in clause.tokens]
    words = set(keys)
    if words & _STANDING and all(key in ASKED_WORDS | _STANDING for key in keys):
        return Show(status_asked(keys))
    if (
        clause.asked
        and len(keys) > 1
        and _closed(keys)
        and words & (LISTS | MANY_TASKS | OPEN | DONE)
    ):
        return Show(status_asked(keys))
    if len(keys) == 1 and clause.asked and words & (DONE | OPEN):
        return Show(status_asked(["what", "is", *keys]))
    if words & (DELETE | {"add", "mark", "tick", "rename"}) or keys[0] in CHANGE | COMPLETE | ADD:
        return None
    if hidden_status(keys) is not None and keys[0] in HIDING | {"leave"}:
        return Show(status_asked(keys))
    wish = bool(words & _WISHES_TO_SEE) or clause.asked
    named = bool(words & (LISTS | MANY_TASKS - {"stuff"} | {"overview", "shebang", "rundown"}))
    if not (wish and named) or (words & {"i", "we"} and not clause.asked):
        return None
    known = [key in ASKED_WORDS or not key[:1].isalnum() for key in keys]
    return Show(status_asked(keys)) if known.count(False) <= 1 else None


_STANDING = word_set(
    "accomplishments achievements report stand play lot missing agenda backlog workload "
    "to-dos shebang"
)
_KNOWING = word_set(
    "know knows see sure remember forgot forgotten recall tell wonder wondering figure track ask "
    "asks asked asking check out of understand list hear say like wants at"
)


def _embedded(keys: Sequence[str]) -> Show | None:
    """A question inside a sentence: "my boss wants to know what I've finished"."""
    orders = ADD | DELETE | COMPLETE | {"remind", "note", "put", "mark", "tick", "cross", "don't"}
    if keys[0] in orders | CHANGE or set(keys[:4]) & (DELETE | {"mark", "tick", "add"}):
        return None
    for place, key in enumerate(keys[1:12], start=1):
        asks = key in QUESTION_WORDS - {"how"} or keys[place : place + 2] == ["how", "many"]
        if not asks or keys[place - 1] not in _KNOWING:
            continue
        rest = keys[place:]
        telling = set(rest) & (TASK_NOUNS | LISTS | OPEN | DONE | {"do", "through", "did"})
        if len(rest) > 1 and telling and _closed(rest, ASKED_WORDS):
            return Show(status_asked(rest), counted="many" in rest)
    return None


def _is_list_name(keys: Sequence[str]) -> bool:
    """Names the list and asks nothing: “my tasks”, “pending tasks”, “to-do list please”."""
    named = set(keys) & (LISTS | {"tasks", "todos", "to-dos"})
    return (
        bool(named)
        and _closed(keys)
        and keys[0] not in AUXILIARIES | {"please"}
        and not (keys[-1] in DONE and set(keys) & {"is", "are"})
    )


_FARED = word_set("through behind tick cross put here")


def _closed(keys: Sequence[str], known: frozenset[str] = LIST_WORDS) -> bool:
    return all(key and (key in known or not key[0].isalnum()) for key in keys)


def _list_or_ask(clause: Clause, keys: list[str]) -> Intent | None:
    text, tokens = clause.text, clause.tokens
    opening = keys[0]
    counted = (
        keys[:2] in (["how", "many"], ["how", "much"]) or "count" in keys or "number" in keys[:4]
    )
    telling = set(keys) & (TASK_NOUNS - {"one", "thing", "job"} | LISTS | OPEN | DONE
                           | {"everything", "anything", "plate", "agenda", "else", "next",
                              "everything's", "through", "behind"})  # fmt: skip
    if opening in {"show", "list", "display", "view", "see"} and "all" in keys:
        telling = telling | {"all"}
    if opening == "what" and {"just", "last"} & set(keys) and {"add", "added"} & set(keys):
        return Ask(Reference("newest"))
    about = _written(text, tokens) or _one_task(text, tokens, opening)
    if about is not None:
        return Ask(about)
    if opening in {"check", "cross", "take", "get"} and {"off", "out"} & set(keys):
        return None
    if _closed(keys, ASKED_WORDS if opening in QUESTION_WORDS else LIST_WORDS | _FARED):
        duty = status_asked(keys) == "pending"
        done = status_asked(keys) == "completed"
        counting = counted and opening == "how" and not set(keys) & {"long", "old", "much"}
        if telling or counting or ((duty or done) and opening in QUESTION_WORDS):
            if opening in {"check", "review"} and keys[1:2] == ["off"]:
                return None
            if opening == "get" and ("rid" in keys or keys[-1] in DONE):
                return None
            return Show(status_asked(keys), counted=counted)
        return None
    if opening in {"get", "check", "find", "review", "open", "look", "pull", "bring", "read",
                   "give", "hear", "see", "view", "print", "run", "list"}:  # fmt: skip
        named = any(k in LISTS | {"tasks", "todos", "to-dos"} for k in keys)
        placed = any(k in {"to", "as", "reminder"} for k in keys[1:]) or (
            opening == "get" and bool({"on", "onto"} & set(keys))
        )
        if not named or placed or any(k in DONE for k in keys[-1:]):
            return None
    elif not (set(keys) & (TASK_NOUNS | LISTS)):
        return Say("unknown") if opening in QUESTION_WORDS else None
    words = [
        t for t in tokens if t.kind != "word" or t.key not in LIST_WORDS | {"about", "related"}
    ]
    return Show(status_asked(keys), text_of(" ".join(t.text for t in words), tokens_of(
        " ".join(t.text for t in words))), counted=counted)  # fmt: skip


def _written(text: str, tokens: Sequence[Token]) -> Reference | None:
    """The task of “what did I write in the notes of the dentist task”."""
    keys = [token.key for token in tokens]
    if keys[:1] != ["what"] or not set(keys[1:6]) & {"write", "wrote", "put", "note", "noted"}:
        return None
    if not set(keys[1:4]) & {"i", "i've", "we"}:
        return None
    place = next((p for p in range(len(keys) - 1, 3, -1) if keys[p] in _ABOUT), 0)
    rest = tokens[place + 1 :] if place else ()
    return reference_of(text, rest, whole=False) if rest else None


_ABOUT = word_set("of for about under on to in with")


def _one_task(text: str, tokens: Sequence[Token], opening: str) -> Reference | None:
    """The task of “what is task 2” or “what does the dentist task say”."""
    if opening not in {"what", "what's", "show", "tell", "which", "read", "give"}:
        return None
    rest = list(tokens[1:])
    while len(rest) > 1 and (
        rest[0].key in {"is", "was", "me", "about", "does", "more", "are"}
        or (rest[0].key == "the" and rest[1].key in set(FIELDS) | {"status"})
    ):
        rest.pop(0)
    detail = False
    while len(rest) > 1 and (rest[0].key in FIELDS or rest[0].key == "status"):
        detail = True
        rest.pop(0)
    while detail and len(rest) > 1 and rest[0].key in {"of", "for", "on"}:
        rest.pop(0)
    while rest and rest[-1].key in {"say", "about", "called", "again", "please", "is", "be"}:
        rest.pop()
    if not rest or rest[0].key == "on":
        return None
    reference = reference_of(text, rest, whole=False)
    if reference.naming in {"ids", "places", "newest"}:
        return reference
    ends = rest[-1].key in {"task", "item", "reminder"} and rest[0].key in {"the", "my"}
    if reference.naming == "words" and (detail or ends):
        return reference
    return None


def _auxiliary(text: str, tokens: Sequence[Token], keys: list[str]) -> Intent | None:
    """Questions that open with "is", "did", "have", ..."""
    telling = set(keys) & (TASK_NOUNS | LISTS | OPEN | DONE | {"everything", "anything", "to-do"})
    if _closed(keys) and telling:
        reference = reference_of(text, _bare_question(tokens), whole=False)
        if reference.naming in {"ids", "places", "pronoun", "newest"}:
            return Ask(reference)
        return Show(status_asked(keys))
    if keys[0] in {
        "would",
        "could",
        "can",
        "will",
        "should",
        "shall",
        "may",
        "might",
        "do",
        "don't",
    }:
        if keys[0] in {"do"} and keys[1:2] and keys[1] in _MINE | {"you"}:
            pass
        elif (
            keys[0] in {"should", "shall", "may", "might", "would"}
            and keys[1:2]
            and keys[1] in (_MINE | {"it"})
        ):
            return Say("hypothetical")
        else:
            return None
    rest = trimmed(_bare_question(tokens))
    if not rest or (keys[:2] == ["do", "you"] and keys[2:3] != ["have"]):
        return None
    return Ask(reference_of(text, rest, whole=False))


def _bare_question(tokens: Sequence[Token]) -> list[Token]:
    """The task that a question is about: "did I already add MILK to my list"."""
    rest = trimmed(list(tokens[1:]))
    while len(rest) > 1 and rest[0].key in _QUESTION_OPENING:
        if rest[0].key in {"task", "item"} and (rest[1].key.isdecimal() or rest[1].key == "#"):
            break
        if rest[0].key == "the" and len(rest) <= 3:
            break
        rest.pop(0)
    while len(rest) > 1 and rest[-1].key in _QUESTION_ENDING:
        rest.pop()
    return rest

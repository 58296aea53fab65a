"""Courtesies and questions: what asks for an answer and changes nothing."""

from collections.abc import Sequence

from taskchat.assistant.offline.clauses import Clause
from taskchat.assistant.offline.intents import Ask, Intent, Reference, Say, Show, Status
from taskchat.assistant.offline.lexicon import (
    ADD,
    AUXILIARIES,
    CHANGE,
    COMPLETE,
    DELETE,
    DONE,
    FIELDS,
    LIST_VERBS,
    LIST_WORDS,
    LISTS,
    NOT,
    OPEN,
    QUESTION_WORDS,
    TASK_NOUNS,
)
from taskchat.assistant.offline.normalise import Token, key_of, text_of, tokens_of
from taskchat.assistant.offline.references import reference_of, status_of, trimmed

_HELLO = frozenset(["hi", "hello", "hey", "hiya", "howdy", "yo", "morning", "greetings", "heya"])
_THANKS = frozenset(["thanks", "thank", "thx", "ta", "cheers", "appreciated", "appreciate"])
_BYE = frozenset(["bye", "goodbye", "goodnight", "cya", "later", "farewell"])
_YES = frozenset(
    [
        "yes",
        "yeah",
        "yep",
        "yup",
        "sure",
        "ok",
        "okay",
        "correct",
        "right",
        "absolutely",
        "definitely",
        "please",
    ]
)
_NO = frozenset(["no", "nope", "nah", "neither", "none", "cancel", "nevermind", "stop"])
_YES_PHRASES = frozenset(
    ("do it", "go ahead", "yes please", "please do", "of course", "go for it", "sounds good",
     "yes do it", "yes add it", "that's right", "yes go ahead", "yes please do", "add it please",
     "yes delete it", "yes that's right", "yes i do", "ok do it", "sure thing", "sure go ahead")
)  # fmt: skip
_NO_PHRASES = frozenset(
    ("never mind", "forget it", "leave it", "no thanks", "no thank you", "none of them",
     "neither of them", "forget that", "forget about it", "no don't", "not now", "don't bother",
     "don't", "scratch that", "no leave it", "no never mind", "actually never mind", "no wait",
     "cancel that", "don't do it", "actually don't", "no need", "actually no", "let it be",
     "never mind then", "oh never mind", "do nothing", "leave them", "drop it", "stop it")
)  # fmt: skip
_GREETING_WORDS = _HELLO | frozenset(
    [
        "there",
        "good",
        "afternoon",
        "evening",
        "day",
        "everyone",
        "assistant",
        "bot",
        "how",
        "are",
        "you",
        "doing",
        "today's",
        "today",
        "it",
        "going",
        "what's",
        "up",
        "nice",
        "to",
        "meet",
        "all",
        "is",
        "your",
        "my",
        "friend",
    ]
)
_THANKS_WORDS = _THANKS | frozenset(
    [
        "you",
        "so",
        "very",
        "much",
        "a",
        "lot",
        "that's",
        "really",
        "helpful",
        "great",
        "for",
        "the",
        "help",
        "your",
        "that",
        "awesome",
        "perfect",
        "it",
        "many",
        "this",
        "is",
        "was",
        "good",
        "nice",
        "all",
        "brilliant",
        "wonderful",
        "lovely",
        "excellent",
        "job",
        "work",
        "ok",
        "okay",
        "super",
        "again",
        "mate",
        "lot",
        "bunch",
        "million",
        "cool",
        "of",
        "both",
        "i",
    ]
)
_HELP_PHRASES = (
    "help", "what can you", "what do you do", "who are you", "what are you", "what else can you",
    "how does this work", "how do you work", "what can i", "how can you help", "help me",
    "what are your", "how do i use", "what do you", "what commands", "how does it work",
    "what is this", "i need help", "can you help me", "how can you",
)  # fmt: skip
_MINE = frozenset(["i", "we", "i've", "my", "me"])


def social_of(clauses: Sequence[Clause]) -> Intent | None:
    """The answer to a message that is nothing but courtesy, or None."""
    text = clauses[0].text if clauses else ""
    words = [key_of(t.text) for t in tokens_of(text) if t.kind == "word"]
    phrase = " ".join(words)
    if not words:
        return Say("unknown")
    if len(words) > 14:
        return None
    kept = set(words)
    if phrase in _YES_PHRASES or kept <= _YES:
        return Say("yes")
    if phrase in _NO_PHRASES or kept <= _NO or (kept <= _NO | _YES and kept & _NO):
        return Say("no")
    if kept & _BYE and len(words) <= 5 and not kept & (DELETE | ADD | CHANGE | {"remind"}):
        return Say("bye")
    if kept & _HELLO and kept <= _GREETING_WORDS | {"i'm"}:
        return Say("hello")
    if phrase in {"how are you", "how are you doing", "how's it going", "what's up", "how do you do",
                  "good evening", "good afternoon", "good day", "how are you today"}:  # fmt: skip
        return Say("hello")
    if kept <= _THANKS_WORDS and (kept & (_THANKS | {"great", "awesome", "perfect", "helpful", "good",
                                          "nice", "cool", "brilliant", "wonderful"})):  # fmt: skip
        return Say("thanks")
    return None


def question_of(clause: Clause) -> Intent | None:
    """What a question or a wish to see tasks asks for, or None when it is neither."""
    text, tokens = clause.text, clause.tokens
    keys = [token.key for token in tokens]
    phrase = " ".join(keys)
    if clause.asked and clause.led and phrase.startswith(("help with", "do", "help me with")):
        return Say("help")
    if any(phrase == p or phrase.startswith(p + " ") for p in _HELP_PHRASES):
        if phrase == "help" or not any(k in LISTS for k in keys):
            return Say("help")
    if (howto := _howto(clause, keys)) is not None:
        return howto
    opening = keys[0]
    if opening in {"show", "tell", "explain", "teach"} and "how" in keys[1:3]:
        return Say("howto", _topic(keys))
    if keys[:2] == ["get", "rid"]:
        return None
    if opening in LIST_VERBS | QUESTION_WORDS or _is_list_name(keys):
        return _list_or_ask(clause, keys)
    if opening in AUXILIARIES and (clause.asked or not clause.led):
        return _auxiliary(text, tokens, keys)
    if opening in {"any", "anything", "everything", "all", "nothing"} and _closed(keys):
        if opening != "any" or set(keys) & (TASK_NOUNS | OPEN | DONE):
            return Show(_status(keys))
    return None


def _howto(clause: Clause, keys: Sequence[str]) -> Say | None:
    if keys[:1] == ["how"] and len(keys) > 2 and keys[1] in {"do", "can", "would", "should", "to",
                                                            "does", "could", "might"}:  # fmt: skip
        if keys[1] == "to" or keys[2] in {"i", "you", "we", "one", "people"}:
            return Say("howto", _topic(keys))
    joined = " ".join(keys[:8])
    ways = ("what's the way to", "what is the way to", "what's the best way to", "is there a way to",
            "is there any way to", "what happens if", "what happens when", "what would happen",
            "is it possible to", "is there an option to", "do you know how to", "am i able to",
            "what's the command", "what is the command", "what do i say to", "are you able to",
            "can i", "can you", "what is the best way to", "where do i", "how does one")  # fmt: skip
    if joined.startswith(ways) and set(keys) & (DELETE | ADD | CHANGE | COMPLETE | {"mark"}):
        return Say("howto", _topic(keys))
    return None


def _topic(keys: Sequence[str]) -> str:
    for key in keys:
        if key in DELETE:
            return "delete"
        if key in ADD - {"note", "record"}:
            return "add"
        if key in COMPLETE | {"mark", "tick", "done", "completed"}:
            return "complete"
        if key in CHANGE - {"make", "set", "move", "call", "fix"}:
            return "update"
    return "list" if set(keys) & (LIST_VERBS | LISTS) else "help"


def _is_list_name(keys: Sequence[str]) -> bool:
    """ "my tasks", "pending tasks", "to-do list please"."""
    named = set(keys) & (LISTS | {"tasks", "todos", "to-dos"})
    return (
        bool(named)
        and _closed(keys)
        and keys[0] not in AUXILIARIES | {"please"}
        and not (keys[-1] in DONE and set(keys) & {"is", "are"})
    )


def _closed(keys: Sequence[str]) -> bool:
    return all(key and (key in LIST_WORDS or not key[0].isalnum()) for key in keys)


def _status(keys: Sequence[str]) -> Status:
    both = {"included", "including", "whether", "both", "either", "regardless", "include"}
    phrase = f" {' '.join(keys)} "
    done = any(key in DONE for key in keys)
    if set(keys) & both and (done or set(keys) & OPEN):
        return "all"
    if " done and not" in phrase or " done or not" in phrase or " and not done" in phrase:
        return "all"
    if done and set(keys) & OPEN and "and" in keys:
        return "all"
    if (
        set(keys) & {"have", "did", "am", "has"}
        and set(keys) & {"everything", "all", "every"}
        and (done and keys[0] in AUXILIARIES)
    ):
        return "pending"
    if (
        (" get done" in phrase and "did" not in keys)
        or " be done" in phrase
        or " needs doing" in phrase
        or " need doing" in phrase
        or " getting done" in phrase
    ):
        return "pending"
    duty = (" to do" in phrase and set(keys) & {"have", "need", "left", "supposed", "got", "must",
                                                "i've", "remains", "still"}) or any(
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
    return status_of([key for key in keys if key != "complete" or keys[-1:] == ["complete"]
                      or "are" in keys or " complete tasks" in phrase])  # fmt: skip


def _list_or_ask(clause: Clause, keys: list[str]) -> Intent | None:
    text, tokens = clause.text, clause.tokens
    opening = keys[0]
    counted = (
        keys[:2] in (["how", "many"], ["how", "much"]) or "count" in keys or "number" in keys[:4]
    )
    telling = set(keys) & (TASK_NOUNS - {"one", "thing", "job"} | LISTS | OPEN | DONE
                           | {"everything", "anything", "plate", "agenda", "else", "next",
                              "everything's"})  # fmt: skip
    about = _one_task(text, tokens, opening)
    if about is not None:
        return Ask(about)
    if _closed(keys):
        duty = _status(keys) == "pending"
        done = _status(keys) == "completed"
        if telling or ((duty or done) and opening in QUESTION_WORDS):
            if opening in {"check", "review"} and keys[1:2] == ["off"]:
                return None
            if opening == "get" and ("rid" in keys or keys[-1] in DONE):
                return None
            return Show(_status(keys), counted=counted)
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
    return Show(_status(keys), text_of(" ".join(t.text for t in words), tokens_of(
        " ".join(t.text for t in words))), counted=counted)  # fmt: skip


def _one_task(text: str, tokens: Sequence[Token], opening: str) -> Reference | None:
    """ "What's task 2?", "show me the second one", "what does the dentist task say?"."""
    if opening not in {"what", "what's", "show", "tell", "which", "read", "give"}:
        return None
    rest = list(tokens[1:])
    while rest and rest[0].key in {"is", "was", "me", "about", "does", "more", "are", "the"} and len(
        rest
    ) > 1 and not (rest[0].key == "the" and len(rest) > 1 and rest[1].key not in {"description",
                   "details", "note", "notes", "status", "title"}):  # fmt: skip
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
        return Show(_status(keys))
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
    if not rest:
        return None
    return Ask(reference_of(text, rest, whole=False))


def _bare_question(tokens: Sequence[Token]) -> list[Token]:
    """The task that a question is about: "did I already add MILK to my list"."""
    dropped = {"i", "we", "you", "already", "ever", "there", "a", "an", "any", "task", "reminder",
               "for", "about", "to", "have", "got", "remember", "called", "named", "still", "yet",
               "just", "been", "tasks", "the", "my", "we've", "something", "anything", "item"}  # fmt: skip
    verbs = ADD | DELETE | COMPLETE | {"finish", "done", "added", "deleted", "removed", "finished",
                                       "completed", "mark", "marked", "created", "put", "do"}  # fmt: skip
    rest = trimmed(list(tokens[1:]))
    while len(rest) > 1 and rest[0].key in dropped | verbs:
        if rest[0].key in {"task", "item"} and (rest[1].key.isdecimal() or rest[1].key == "#"):
            break
        if rest[0].key == "the" and len(rest) <= 3:
            break
        rest.pop(0)
    ending = DONE | OPEN | {"on", "there", "list", "my", "in", "the", "yet", "already", "marked", "as",
                            "still", "off", "or", "not", "been", "deleted", "gone", "it", "a"}  # fmt: skip
    while len(rest) > 1 and rest[-1].key in ending:
        rest.pop()
    return rest

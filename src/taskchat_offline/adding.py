"""The title and description of a new task, cut from the words that ask for it."""

from collections.abc import Sequence

from taskchat_offline.add_phrases import (
    CLASSES,
    COUNTS,
    DUTIES,
    MADE,
    MODIFIERS,
    NOUNS,
    OPENINGS,
    PLACED,
    PLURALS,
)
from taskchat_offline.heads import HEAD_WORDS
from taskchat_offline.intents import Add
from taskchat_offline.lexicon import DELETE, NOT, NUMBER_WORDS, PUT, word_set
from taskchat_offline.normalise import Token, text_of
from taskchat_offline.titles import titles_of
from taskchat_offline.trimming import trimmed

_VERBS = word_set(
    "add adding create creating make making set put insert include log record register "
    "open start save enter schedule write jot append note give"
)  # fmt: skip
_LOOSE = word_set(
    "create creating make making set put log record register open start save enter "
    "schedule write note give append include"
)  # fmt: skip


def adds_of(text: str, tokens: Sequence[Token]) -> list[Add] | None:
    """New tasks that the clause asks for; none named is an empty list, no request is None."""
    words = trimmed_end(tokens)
    if not words:
        return None
    for pattern, timed in OPENINGS:
        captures = pattern.match(words)
        if captures is None:
            continue
        start, end = captures["title"]
        if timed:
            first, last = captures["when"]
            if words[first].key not in CLASSES["when"] or last - first > 6:
                continue
            when = text_of(text, words[first:last])
            title = text_of(text, trimmed(words[start:end]))
            return [Add(f"{title} {when}")]
        return titles_of(text, words[start:end], plural=False)
    return _by_verb(text, words)


def made(text: str, tokens: Sequence[Token]) -> list[Add] | None:
    """“Make "repaint the shed" a task”: only words in quotation marks are made one."""
    words = [token for token in tokens if token.kind != "mark"]
    for pattern in MADE:
        captures = pattern.match(words)
        if captures is not None:
            start, end = captures["title"]
            if [token.kind for token in words[start:end]] == ["quote"]:
                return titles_of(text, words[start:end], plural=False)
    return None


def placed(text: str, tokens: Sequence[Token]) -> list[Add] | None:
    """“Chuck X on my list”: a verb that elsewhere throws things away puts them there."""
    words = trimmed_end(tokens)
    if not words or words[0].key not in PUT & DELETE:
        return None
    captures = PLACED.match(words)
    if captures is None:
        return None
    start, end = captures["title"]
    return titles_of(text, words[start:end], plural=False)


_LINKED_NOUNS = word_set("task to-do todo reminder item entry job errand")
_GRATEFUL = word_set("grateful thankful glad happy appreciate obliged could do")
_LINKS_TO = word_set("to for about called named titled saying regarding")
_BETWEEN = word_set(
    "on onto in into my the our list there for me us please up down that to to-do todo here like "
    "if you can could would mind"
)


def linked(text: str, tokens: Sequence[Token]) -> list[Add] | None:
    """A task asked for in any courteous words: "stick a reminder on there to ring Al"."""
    words = trimmed_end(tokens)
    keys = [token.key for token in words]
    noun = next((place for place, key in enumerate(keys[:12]) if key in _LINKED_NOUNS), 0)
    opening = keys[:noun]
    wished = set(opening) & (PUT | _VERBS | _GRATEFUL | {"like", "love", "need", "want"})
    new = {"a", "an", "another", "new"} & set(opening[-2:])
    if not (noun and wished and new and all(key in HEAD_WORDS | _GRATEFUL for key in opening)):
        return None
    place = noun + 1
    while place < len(words) and keys[place] in _BETWEEN and not (
        keys[place] in _LINKS_TO and keys[place + 1 : place + 2] not in (["my"], ["the"], ["me"])
    ):  # fmt: skip
        place += 1
    if place + 1 >= len(words) or keys[place] not in _LINKS_TO:
        return None
    if keys[place] in {"for", "about"} and keys[place + 1] in CLASSES["when"]:
        return None
    return titles_of(text, words[_after_links(words, place) :], plural=False)


def forgotten(text: str, tokens: Sequence[Token]) -> list[Add] | None:
    """“I'd better not forget to ...”: what must not be forgotten is to be written down."""
    keys = [token.key for token in tokens]
    place = next((p for p, key in enumerate(keys[:8]) if key in {"forget", "forgetting"}), 0)
    barred = set(keys[:place]) & (NOT | {"mustn't", "don't", "nobody", "let"})
    known = HEAD_WORDS | NOT | _NAMED_SELF
    if not place or not barred or not all(key in known for key in keys[:place]):
        return None
    following = place + 1
    while following < len(keys) and keys[following] in {"to", "about", "that", ":", ","}:
        following += 1
    if following >= len(keys) or keys[following] in {"it", "this", "anything"}:
        return None
    return titles_of(text, trimmed_end(tokens)[following:], plural=False)


_NAMED_SELF = word_set("i'd i'll better had really absolutely must mustn't cannot let want")


def announced(text: str, tokens: Sequence[Token], headed: int) -> list[Add]:
    """New tasks after an announcement ("two more for the list: ...") of `headed` tokens."""
    head = [token.key for token in tokens[:headed]]
    count = next((NUMBER_WORDS[key] for key in head if key in NUMBER_WORDS and key != "one"), 0)
    count = count or next((int(key) for key in head if key.isdecimal()), 0)
    plural = count > 1 or bool(set(head) & (PLURALS | {"things", "these", "those", "following"}))
    place = _after_links(tokens, headed)
    return titles_of(text, tokens[place:], plural=plural, count=count if plural else 0)


def trimmed_end(tokens: Sequence[Token]) -> list[Token]:
    """The tokens without courtesies at the end."""
    rest = trimmed(tokens, places=False)
    return list(tokens) if rest and rest[0] != tokens[0] else rest


def _by_verb(text: str, tokens: Sequence[Token]) -> list[Add] | None:
    """`add|create|make ... [a task] [to my list] [called] TITLE`."""
    if tokens[0].key not in _VERBS and not _is_opening(tokens):
        return None
    place = 1 if tokens[0].key in _VERBS else 0
    if tokens[place : place + 1] and tokens[place].key in {"up", "down", "in"} and place:
        place += 1
    count = 0
    noun = plural = False
    look = place
    while look < len(tokens) and tokens[look].key in MODIFIERS | COUNTS:
        key = tokens[look].key
        count = NUMBER_WORDS.get(key, int(key) if key.isdecimal() else count)
        count = 2 if key == "couple" else count
        look += 1
    if look < len(tokens) and tokens[look].key in NOUNS | PLURALS | {"thing", "things"}:
        plural = tokens[look].key in PLURALS | {"things"}
        noun = True
        look += 1
        while look < len(tokens) and tokens[look].key in {"item", "reminder", "task", "items",
                                                          "tasks", "list"}:  # fmt: skip
            plural = plural or tokens[look].key in PLURALS
            look += 1
    opening = {token.key for token in tokens[place:look]}
    pointed = look < len(tokens) and tokens[look].key in {":", ","} and look > place
    if pointed and (count > 1 or opening & {"these", "those", "following"}):
        plural = True
    if noun or pointed:
        place = look
        place = _after_list_name(tokens, place)
        place = _after_links(tokens, place)
    elif tokens[0].key in _LOOSE or place == 0:
        return None
    else:
        place = _after_links(tokens, place) if _is_link(tokens, place) else place
        count = 0
    return titles_of(text, tokens[place:], plural=plural, count=count if plural else 0)


def _is_opening(tokens: Sequence[Token]) -> bool:
    """A head without a verb: "one more task: call Tom", "two things: ..."."""
    keys = [token.key for token in tokens[:6]]
    if ":" not in keys:
        return False
    head = keys[: keys.index(":")]
    return bool(head) and all(k in MODIFIERS | COUNTS | NOUNS | PLURALS | {"thing"} for k in head)


def _after_list_name(tokens: Sequence[Token], place: int) -> int:
    keys = [token.key for token in tokens[place : place + 7]]
    for size in range(2, len(keys)):
        named = keys[size - 1] == "list" and keys[0] in CLASSES["on"]
        if named and all(k in CLASSES["my"] | CLASSES["kind"] for k in keys[1 : size - 1]):
            return place + size
    if keys[:2] == ["for", "me"]:
        return place + 2
    return place


_LINKS = (
    "with the title|name|text : of?",
    "with the title|name|text of|as",
    "with the title|name|text",
    "with title|name",
    "to remind|remember me to|about|of",
    "reminding me to|about|of",
    "to remember to",
    "that says|reads|is called|named :",
    "that says|reads|is",
    "which says|reads|is",
    "called|named|titled|saying|labelled|labeled|entitled :",
    "called|named|titled|saying|labelled|labeled|entitled",
    "that i need|have|should|must|want to",
    "that i should|must",
    "where i need|have to",
    "i need|have to",
    "for me to",
    "to|too|:|for|about|of|,|-|–|— to",
    ": -",
    "to|too|:|for|about|,|-|–|—|of",
)


def _is_link(tokens: Sequence[Token], place: int) -> bool:
    keys = [token.key for token in tokens[place : place + 2]]
    return keys[:1] in ([":"], ["to"], ["-"]) or keys in (["that", "i"], ["to", "remind"])


def _after_links(tokens: Sequence[Token], place: int) -> int:
    moved = True
    rounds = 0
    while moved and rounds < 3:
        moved = False
        rounds += 1
        for link in _LINKS:
            words = [frozenset(word.strip("?").split("|")) for word in link.split()]
            window = tokens[place : place + len(words)]
            if (
                len(window) == len(words)
                and len(tokens) > place + len(words)
                and all(token.key in keys for token, keys in zip(window, words, strict=True))
            ):
                place += len(words)
                moved = True
                break
    return place


def duty_of(text: str, tokens: Sequence[Token]) -> list[Add] | None:
    """The deed of "I need to ..." or "I have to ..."."""
    words = trimmed_end(tokens)
    for pattern in DUTIES:
        captures = pattern.match(words)
        if captures is not None:
            start, end = captures["title"]
            if (
                words[start].key in {"be", "know", "say", "admit", "go", "think"}
                and end - start < 2
            ):
                return None
            if words[start].key in {"know", "understand"}:
                return None
            parting = [token.key for token in words[start : start + 2]]
            if parting[0] in {"go", "leave", "run"} and parting[1:] in ([], ["now"], [","]):
                return None
            adds = titles_of(text, words[start:end], plural=False)
            return [Add(add.title, add.description, soft=True) for add in adds]
    return None

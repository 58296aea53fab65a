"""New words for a field, wherever a clause holds them: "title A and the description B"."""

from collections.abc import Sequence
from dataclasses import dataclass

from taskchat_offline.lexicon import FIELDS, PRONOUNS, TASK_NOUNS, word_set
from taskchat_offline.normalise import Token, text_of
from taskchat_offline.trimming import trimmed

_FIELDS = {word: name for word, name in FIELDS.items() if word not in {"memo", "label", "text"}}
"""The words for fields, without those that titles are full of."""

_LINKS = word_set(
    "to as : = is be being should must ought has needs need now say saying says said read reads "
    "reading - – — really of shall will that was become instead into write put"
)
_STRONG_LINKS = word_set("write put to as : = is be say saying says read reads reading -")
_GIVING = word_set("have has get gets give with receive needs need new the and add title set put")
_ARTICLES = word_set("the a an its new this their my following short with and , ; also plus in")
_ABOUT = word_set("of for on in to")
_WRITING = word_set("put write add use note enter type set jot stick attach leave save")
_INTO = word_set("as in into under to")
_LEADS = word_set(
    "for in on with should must ought to have has get gets edit update change set give write put "
    "add amend correct modify fill out , : - please can could you would i'd like make alter switch "
    "needs need want fix adjust revise rewrite replace rename let let's"
)


@dataclass(frozen=True, slots=True)
class Assigned:
    """New words for the fields, and the tokens that name whose fields they are (none for "its").

    `pointed` when the words for the description are only pointed at: "put that in ...".
    """

    title: str | None
    description: str | None
    owner: tuple[Token, ...]
    pointed: bool = False


@dataclass(slots=True)
class _Field:
    name: str
    at: int
    owner: tuple[int, int]
    start: int
    end: int


def assigned_in(text: str, tokens: Sequence[Token]) -> Assigned | None:
    """The fields that the clause sets, or None when it sets none or is unclear about one."""
    words = list(trimmed(tokens, places=False))
    if described := _described(text, words):
        return described
    if behind := _value_first(text, words):
        return behind
    fields = _fields(words)
    if not fields:
        return None
    title = description = None
    owner: tuple[Token, ...] = ()
    for place, field in enumerate(fields):
        end = fields[place + 1].at if place + 1 < len(fields) else len(words)
        while (
            end > field.start and words[end - 1].key in _ARTICLES and words[end - 1].kind != "quote"
        ):
            end -= 1
        value = trimmed(words[field.start : end], places=False)
        if value and value[0].kind == "quote":
            value = value[:1]
        said = text_of(text, value)
        if not said:
            return None
        if field.name == "title":
            title = title or said
        else:
            description = description or said
        named = tuple(words[field.owner[0] : field.owner[1]])
        owner = owner or _named(named)
    return Assigned(title, description, owner or _named(_before(words, fields[0].at)))


def _described(text: str, words: Sequence[Token]) -> Assigned | None:
    """“Describe X as Y”."""
    if not words or words[0].key not in {"describe", "annotate"} or words[0].kind == "quote":
        return None
    link = next((at for at, t in enumerate(words) if at > 1 and t.key in {"as", "with", ":"}), 0)
    said = text_of(text, words[link + 1 :]) if link else ""
    return Assigned(None, said, _named(words[1:link])) if said else None


def _fields(words: Sequence[Token]) -> list[_Field]:
    """Every field word that new words follow."""
    found: list[_Field] = []
    for at, token in enumerate(words):
        name = _FIELDS.get(token.key)
        if token.key == "described" and [t.key for t in words[at + 1 : at + 2]] == ["as"]:
            name = "description"
        if name is None or token.kind != "word" or (found and at < found[-1].start):
            continue
        owner = (0, 0)
        after = at + 1
        if after < len(words) and words[after].key in _ABOUT and words[after].key != "to":
            owner_end = after + 1
            while owner_end < len(words) and not _opens_value(words, owner_end):
                owner_end += 1
            if owner_end < len(words):
                owner = (after + 1, owner_end)
                after = owner_end
        linked, after = _linked(words, after)
        quoted = after < len(words) and words[after].kind == "quote"
        before = words[at - 1].key if at else ""
        earlier = {t.key for t in words[max(at - 3, 0) : at]}
        given = bool(earlier & _GIVING - {"the"}) and before in _ARTICLES
        if after < len(words) and (linked or quoted or given or (found and before in _ARTICLES)):
            found.append(_Field(name, at, owner, after, len(words)))
    return found


def _linked(words: Sequence[Token], start: int) -> tuple[bool, int]:
    """Whether "to", "should be" or ":" leads to new words, and where those begin."""
    after = start
    while after < len(words) and words[after].kind != "quote" and words[after].key in _LINKS:
        key = words[after].key
        after += 1
        following = words[after].key if after < len(words) else ""
        if key in _STRONG_LINKS and following not in {":", "be", "say", "read", "-"}:
            return True, after
    return False, after


def _opens_value(words: Sequence[Token], at: int) -> bool:
    key = words[at].key
    if words[at].kind == "quote":
        # "the title of 'A' to B": a quotation right after "of" is the owner.
        return at > 0 and words[at - 1].key not in _ABOUT
    return key in _LINKS - {"-", "of", "that", "now"}


def _value_first(text: str, words: Sequence[Token]) -> Assigned | None:
    """“Write X in the description of Y”: the field comes after its words."""
    for at in range(len(words) - 1, 1, -1):
        if FIELDS.get(words[at].key) != "description" or words[at].kind != "word":
            continue
        start = at
        while start > 0 and words[start - 1].key in _ARTICLES - {"in", "and", "with", ","}:
            start -= 1
        rest = words[at + 1 :]
        owner: Sequence[Token] = ()
        if rest and rest[0].key in _ABOUT | {"under", "against", "beside"}:
            owner = rest[1:]
        elif rest or (
            start < at
            and words[start].key in {"the", "a", "my"}
            and (words[at - 1].key not in {"the", "a", "new", "its"})
        ):
            continue
        into = start - 1
        if not rest and (into < 0 or words[into].key not in _INTO):
            # "into the bakery task's description"
            into = next((p for p in range(at - 1, 0, -1) if words[p].key in _INTO), -1)
            owner = words[into + 1 : at] if into > 0 else ()
        if into < 1 or words[into].key not in _INTO:
            continue
        opening = next((p for p, t in enumerate(words[:into]) if t.key in _WRITING), -1)
        if opening < 0 and words[0].kind != "quote":
            continue
        value = trimmed(words[opening + 1 : into])
        if len(value) == 1 and value[0].key in PRONOUNS:
            return Assigned(None, "", _named(owner), pointed=True)
        if said := text_of(text, value):
            return Assigned(None, said, _named(owner))
    return None


def _before(words: Sequence[Token], at: int) -> tuple[Token, ...]:
    end = at
    while end and (words[end - 1].key in _ARTICLES | _LEADS) and words[end - 1].kind != "quote":
        end -= 1
    start = 0
    while start < end and words[start].key in _LEADS and words[start].kind != "quote":
        start += 1
    return tuple(words[start:end])


def _named(tokens: Sequence[Token]) -> tuple[Token, ...]:
    """The owner, if it names a task: not "it", "its" or only "the task"."""
    named = [t for t in tokens if t.key not in PRONOUNS | {"its", "'s", "the", "my", "a"}]
    if not named or all(t.key in TASK_NOUNS and t.kind == "word" for t in named):
        return ()
    return tuple(tokens)

"""A message cut into clauses, one request or statement each. No word is lost or reordered."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from taskchat.assistant.offline.lexicon import CONNECTORS, FILLERS
from taskchat.assistant.offline.normalise import ABBREVIATIONS, Token, tokens_of
from taskchat.assistant.offline.openings import gapped, opens_clause, opens_request
from taskchat.assistant.offline.trimming import is_punctuation

CLAUSES_MAX = 30
"""Requests read in one message; a response holds 50 calls."""

_ITEM = re.compile(r"(?:^|\n)[ \t]*(?:[-*•·–]|\d{1,2}[.)])[ \t]+(?=\S)")
_INLINE_ITEM = re.compile(r"(?:^|\s)(\d{1,2})[.)][ \t]+(?=\S)")
_LEADS = tuple(
    tuple(frozenset(word.split("|")) for word in lead.split())
    for lead in (
        "i'd appreciate it if you could|would",
        "it would be great|nice|good if you could|would",
        "it'd be great|nice|good if you could|would",
        "is it possible for you to",
        "would|do you mind",
        "can|could|would|will|won't|can't you",
        "i'd like|love you to",
        "i would like|love you to",
        "i want|need you to",
        "i think you can|should|could",
        "you can|could|may|should|might",
        "you need to",
        "be so kind as to",
        "do me a favor|favour",
        "go ahead and",
        "go ahead",
        "feel free to",
        "make sure to",
        "let's",
        "let us",
        "let me",
        "help me to",
        "help me",
        "when|whenever you get|have a chance|moment|minute|sec|second",
        "when|whenever you can",
        "if you can|could|don't|wouldn't|would mind",
        "if you can|could|please|would",
        "if possible",
        "if it's not too much trouble",
        "thank you",
        "good morning|afternoon|evening|day",
        "hey|hi|hello there",
        "in that case",
        "for me",
        "by the way",
        "one more thing",
        "as well",
        "after that",
        "at the same time",
        "no problem",
        "got it",
        "all right",
        "of course",
        "i mean|meant",
        "wait",
    )
)
_SOFT_LEADS = tuple(
    tuple(frozenset(word.split("|")) for word in lead.split())
    for lead in (
        "i should|must really",
        "i'd like|love to",
        "i would like|love to",
        "i want|need|wish|have to",
        "i wanna|gotta|want",
        "need|want|have|got to",
        "we need|want|have to",
        "can|could|may i|we",
        "i'm going to",
        "is it possible to",
        "i should|must|can",
        "i really should|must",
        "i really need|want|have to",
        "i also need|want|have to",
    )
)


@dataclass(frozen=True, slots=True)
class Clause:
    """One request or statement.

    `asked` when it ends a question; `led` when it opened as a request to the assistant
    ("can you", "please let me"); `joined` when it opened with "and" or "also".
    """

    text: str
    tokens: tuple[Token, ...]
    asked: bool = False
    led: bool = False
    joined: bool = False
    hypothetical: bool = False


def clauses_of(text: str) -> list[Clause]:
    """The clauses of a message in order, `CLAUSES_MAX` at most."""
    found: list[Clause] = []
    for source, tokens in _pieces(text):
        for sentence, mark in _sentences(tokens):
            found += _clauses(source, sentence, asked=mark == "?")
            if len(found) >= CLAUSES_MAX:
                return found[:CLAUSES_MAX]
    return found


def _pieces(text: str) -> Iterator[tuple[str, list[Token]]]:
    """The message, or each point of its list with the words that introduce the list."""
    marks = list(_ITEM.finditer(text))
    if len(marks) < 2 or marks[0].start() > 300:
        inline = list(_INLINE_ITEM.finditer(text))
        numbered = [int(mark[1]) for mark in inline] == list(range(1, len(inline) + 1))
        marks = inline if numbered and len(inline) >= 2 else []
    if not marks:
        yield text, tokens_of(text)
        return
    opening = text[: marks[0].start()].strip()
    for place, mark in enumerate(marks[:CLAUSES_MAX]):
        end = marks[place + 1].start() if place + 1 < len(marks) else len(text)
        item = " ".join(text[mark.end() : end].split())
        if not opening:
            yield item, tokens_of(item)
            continue
        source = f"{opening.rstrip(':')} : {item}"
        head = tokens_of(source[: -len(item)])
        start = len(source) - len(item)
        yield source, [*head, Token(item.rstrip(".,;"), "", start, len(source), "quote")]


def _sentences(tokens: Sequence[Token]) -> Iterator[tuple[list[Token], str]]:
    sentence: list[Token] = []
    for place, token in enumerate(tokens):
        if token.key in {".", "!", "?", ";", "\n", "…", "؟", "。"} and token.kind == "mark":
            before = tokens[place - 1].key if place else ""
            if token.key == "." and (before in ABBREVIATIONS or len(before) == 1 == token.start):
                continue
            if sentence:
                yield sentence, token.key
            sentence = []
        else:
            sentence.append(token)
    if sentence:
        yield sentence, ""


def _clauses(text: str, sentence: Sequence[Token], *, asked: bool) -> Iterator[Clause]:
    start, led, joined = _after_leads(sentence, 0)
    if _is_condition(sentence, start):
        rest = tuple(sentence[start:])
        yield Clause(text, rest, asked=asked, hypothetical=True)
        return
    clause = start
    verb: Token | None = None
    place = start
    while place < len(sentence):
        token = sentence[place]
        opens = token.kind != "quote" and (
            token.key in CONNECTORS or token.key in {",", ";", "-", "–", "—", "("}
        )
        if place > clause and opens:
            after, next_led, _ = _after_leads(sentence, place)
            in_gap = gapped(text, sentence[clause], sentence[after:])
            if after < len(sentence) and (
                in_gap or opens_clause(sentence[clause:place], sentence[place:after],
                                        sentence[after:])
            ):  # fmt: skip
                yield _clause(text, verb, sentence[clause:place], led=led, joined=joined)
                verb = sentence[clause] if in_gap and verb is None else verb if in_gap else None
                clause, led, joined = after, next_led, True
                place = after
                continue
        place += 1
    if clause < len(sentence) or led or start:
        yield _clause(text, verb, sentence[clause:], led=led, joined=joined, asked=asked)


def _clause(
    text: str,
    verb: Token | None,
    tokens: Sequence[Token],
    *,
    led: bool,
    joined: bool,
    asked: bool = False,
) -> Clause:
    whole = (verb, *tokens) if verb is not None else tuple(tokens)
    return Clause(text, whole, asked=asked, led=led, joined=joined)


def _lead(tokens: Sequence[Token], start: int, leads: Sequence[tuple[frozenset[str], ...]]) -> int:
    for lead in leads:
        window = tokens[start : start + len(lead)]
        if len(window) == len(lead) and all(
            token.key in words for token, words in zip(window, lead, strict=True)
        ):
            return len(lead)
    return 0


def _after_leads(tokens: Sequence[Token], start: int) -> tuple[int, bool, bool]:
    """Where the clause proper begins, whether a request led to it, whether "and" did."""
    place = start
    led = joined = False
    while place < len(tokens):
        key = tokens[place].key
        if key == "don't" or [t.key for t in tokens[place : place + 2]] == ["do", "not"]:
            break
        if (size := _lead(tokens, place, _LEADS)) or (
            (size := _lead(tokens, place, _SOFT_LEADS)) and opens_request(tokens[place + size :])
        ):
            led = True
            place += size
        elif tokens[place].kind == "mark" and is_punctuation(tokens[place]) and key not in "#@":
            place += 1
        elif key in FILLERS and not (key == "next" and place + 1 == len(tokens)):
            led = led or key in {"please", "pls", "plz", "kindly"}
            joined = joined or key in {"and", "also", "plus"}
            place += 1
        else:
            break
    return place, led, joined


def _is_condition(sentence: Sequence[Token], start: int) -> bool:
    keys = [token.key for token in sentence[start : start + 3]]
    if not keys:
        return False
    if keys[0] in {"if", "once", "unless", "suppose", "supposing", "whether", "assuming", "until"}:
        return True
    if keys[0] in {"when", "whenever", "after", "before"} and len(keys) > 1:
        return keys[1] in {"i", "i've", "i'm", "we", "the", "my", "it", "it's"}
    return keys[:2] in (["what", "if"], ["as", "soon"], ["in", "case"], ["imagine", "i"])

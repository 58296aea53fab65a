"""A message cut into clauses, one request or statement each. No word is lost or reordered."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from taskchat_offline.heads import head_end, is_verbatim
from taskchat_offline.leads import after_leads
from taskchat_offline.lexicon import CONNECTORS
from taskchat_offline.normalise import ABBREVIATIONS, Token, tokens_of
from taskchat_offline.openings import breaks_off, ends_in_order, gapped, opens_clause

CLAUSES_MAX = 30
"""Requests read in one message; a response holds 50 calls."""

_ITEM = re.compile(r"(?:^|\n)[ \t]*(?:[-*•·–]|\d{1,2}[.)])[ \t]+(?=\S)")
_INLINE_ITEM = re.compile(r"(?:^|\s)(\d{1,2})[.)][ \t]+(?=\S)")
_LOOSE_JOINTS = frozenset({":", "you", "please", "pls", "can", "could", "go", "just"})
"""Where a request may begin in the middle of a sentence, without a comma before it."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One request or statement.

    `asked` when it ends a question; `led` when it opened as a request to the assistant
    ("can you", "please let me"); `joined` when it opened with "and" or "also"; `headed` is the
    place of a new task's first word when the words before only announce it.
    """

    text: str
    tokens: tuple[Token, ...]
    asked: bool = False
    led: bool = False
    joined: bool = False
    hypothetical: bool = False
    headed: int = 0


def clauses_of(text: str) -> list[Clause]:
    """The clauses of a message in order, `CLAUSES_MAX` at most."""
    found: list[Clause] = []
    for source, tokens in _pieces(text):
        head = head_end(tokens)
        if head and is_verbatim(tokens, head):
            found.append(Clause(source, tuple(tokens), headed=head))
            continue
        for sentence, mark in _sentences(tokens, head):
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


def _sentences(tokens: Sequence[Token], head: int) -> Iterator[tuple[list[Token], str]]:
    """The sentences and the marks that end them; an announced task begins no new sentence."""
    sentence: list[Token] = []
    for place, token in enumerate(tokens):
        if token.key in {".", "!", "?", ";", "\n", "…", "؟", "。"} and token.kind == "mark":
            before = tokens[place - 1].key if place else ""
            shouted = token.key == "." and _shouted(tokens[max(place - 1, 0) : place + 2])
            if place < head:
                sentence.append(token)
                continue
            if shouted or (head and token.key == ";"):
                sentence.append(token)
                continue
            if token.key == "." and (before in ABBREVIATIONS or len(before) == 1 == token.start):
                continue
            if sentence:
                yield sentence, token.key
            sentence = []
        else:
            sentence.append(token)
    if sentence:
        yield sentence, ""


def _shouted(tokens: Sequence[Token]) -> bool:
    """A full stop between two words in capitals: "FINISH. THE. NOVEL." is one title."""
    return len(tokens) == 3 and all(t.text.isupper() and len(t.text) > 1 for t in tokens[::2])


def _clauses(text: str, sentence: Sequence[Token], *, asked: bool) -> Iterator[Clause]:
    start, led, joined = after_leads(sentence, 0)
    head = head_end(sentence)
    if head:
        start, led = 0, True
    elif after := _after_before(sentence, start):
        start, led, joined = after_leads(sentence, after)
    elif _is_condition(sentence, start):
        yield Clause(text, tuple(sentence[start:]), asked=asked, hypothetical=True)
        return
    clause = start
    verb: Token | None = None
    place = max(start, head)
    while place < len(sentence):
        token = sentence[place]
        opens = token.kind != "quote" and (
            token.key in CONNECTORS or token.key in {",", ";", "-", "–", "—", "("}
        )
        loose = token.kind != "quote" and token.key in _LOOSE_JOINTS
        if place > clause and ends_in_order(sentence[clause:place], sentence[place:]):
            yield _clause(text, verb, sentence[clause:place], led=led, joined=joined, headed=head)
            clause, led, joined, head, verb = place, True, False, 0, None
            break
        if place > clause and (opens or loose):
            after, next_led, _ = after_leads(sentence, place)
            in_gap = opens and gapped(text, sentence[clause], sentence[after:])
            if after < len(sentence) and (
                in_gap or (opens and opens_clause(sentence[clause:place], sentence[place:after],
                                        sentence[after:]))
                or (loose and breaks_off(sentence[clause:place], sentence[place:after],
                                         sentence[after:]))
            ):  # fmt: skip
                whole = sentence[clause:place]
                yield _clause(text, verb, whole, led=led, joined=joined, headed=head)
                head = 0
                verb = sentence[clause] if in_gap and verb is None else verb if in_gap else None
                clause, led, joined = after, next_led, True
                place = after
                continue
        place += 1
    if clause < len(sentence) or led or start:
        rest = sentence[clause:]
        yield _clause(text, verb, rest, led=led, joined=joined, asked=asked, headed=head)


def _clause(
    text: str,
    verb: Token | None,
    tokens: Sequence[Token],
    *,
    led: bool,
    joined: bool,
    asked: bool = False,
    headed: int = 0,
) -> Clause:
    whole = (verb, *tokens) if verb is not None else tuple(tokens)
    return Clause(text, whole, asked=asked, led=led, joined=joined, headed=headed)


def _after_before(sentence: Sequence[Token], start: int) -> int:
    """Where the request begins after "before I forget," or "while I'm at it,"; or 0."""
    keys = [token.key for token in sentence[start : start + 12]]
    if keys[:1] not in (["before"], ["while"]) or not set(keys[1:3]) & {"i", "i'm", "we", "it"}:
        return 0
    return start + keys.index(",") + 1 if "," in keys and keys[-1] != "," else 0


def _is_condition(sentence: Sequence[Token], start: int) -> bool:
    keys = [token.key for token in sentence[start : start + 3]]
    if not keys:
        return False
    if keys[0] in {"if", "once", "unless", "suppose", "supposing", "whether", "assuming", "until"}:
        return True
    if keys[0] in {"when", "whenever", "after", "before"} and len(keys) > 1:
        return keys[1] in {"i", "i've", "i'm", "we", "the", "my", "it", "it's"}
    return keys[:2] in (["what", "if"], ["as", "soon"], ["in", "case"], ["imagine", "i"])

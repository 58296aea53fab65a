"""What the models see of a message: words, their classes, and which tasks they could name."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Final

from taskchat_offline.matching import Titles, plain
from taskchat_offline.text import Token, ends_sentence
from taskchat_offline.words import CLASSES, CLASSES_OF, STOP, stem, verb_form

SEGMENT_CUTS_MAX: Final = 10
"""Places inside one segment where it could have been cut."""

SEGMENT_TOKENS_MAX: Final = 90

PAIRED_MAX: Final = 14
"""Words of a segment whose classes are looked at in pairs."""

_GLUE: Final = CLASSES["glue"]
_OPENING: Final = frozenset(
    name for name in ("add", "remind", "delete", "complete", "update", "show", "connector", "me",
                      "you", "polite", "hello", "question", "no", "yes", "maybe", "now", "need",
                      "other", "not", "undo", "repair")
)  # fmt: skip
_ENDS: Final = frozenset({",", ".", "!", ";", "¶"})

_COMMANDS: Final = frozenset({"add", "remind", "delete", "complete", "update", "show"})
"""Classes of words that ask for something; an aside has none, and the part beside it has."""


@dataclass(frozen=True, slots=True)
class Context:
    """What was asked last ("which", "whether", "what"), and the tool that was called last."""

    asked: str = ""
    did: str = ""


_TELLING: Final = (
    CLASSES["field"],
    frozenset({"to", "into", "as", "->", "=>", "say", "says", "saying"}),
    frozenset({"Q", "Qt"}),
    frozenset({"not", "than", "instead"}),
)
"""Words that tell, from afar, what another word is."""


def _shown(token: Token) -> str:
    """The token's key without what parts the lines of a file."""
    return "¶" if token.key == "\n" else token.key or token.kind


class Heard:
    """One message as the models see it.

    `symbols` hold what stands for each token (a known word itself, else its kind), `named` the
    places of the tasks whose titles hold it, `cuts` the tokens at which a segment may begin.
    """

    def __init__(self, tokens: Sequence[Token], titles: Titles, context: Context) -> None:
        self.tokens = list(tokens)
        self.titles = titles
        self.context = context
        self.classes = [CLASSES_OF.get(token.key, ()) for token in self.tokens]
        self.forms = [verb_form(t.key) if t.kind == "word" else "" for t in self.tokens]
        self.stems = [stem(token.key) for token in self.tokens]
        self.named = [self._named(place) for place in range(len(self.tokens))]
        self.symbols = [self._symbol(place) for place in range(len(self.tokens))]
        self._words = [
            "H" if named else stem if token.kind == "word" else _shown(token)
            for token, stem, named in zip(self.tokens, self.stems, self.named, strict=True)
        ]
        self.cuts = self._cuts()
        # Training asks for the same ones again and again.
        self.segment = cache(self._segment)
        self.token = cache(self._token)
        self.span = cache(self._span)

    def _named(self, place: int) -> frozenset[int]:
        token = self.tokens[place]
        if token.kind == "quote":
            wanted = plain(token.text)
            return frozenset(n for n, task in enumerate(self.titles.tasks) if task.plain == wanted)
        if token.kind != "word" or token.key in STOP or token.key.isdecimal():
            return frozenset()
        return frozenset(self.titles.holding(self.stems[place]))

    def _symbol(self, place: int) -> str:
        token = self.tokens[place]
        if token.kind == "quote":
            return "Qt" if self.named[place] else "Q"
        if token.kind != "word":
            return _shown(token)
        if token.key.isdecimal():
            return "#"
        if self.classes[place] or token.key in _GLUE:
            return token.key
        return ("H" if self.named[place] else "w") + self.forms[place]

    def _cuts(self) -> list[int]:
        cuts = [0]
        for place in range(1, len(self.tokens)):
            token, before = self.tokens[place], self.tokens[place - 1]
            abbreviated = before.key == "." and not ends_sentence(self.tokens, place - 1)
            if abbreviated or (token.kind == "mark" and token.key not in {"+", "&", "#"}):
                continue
            first = not self._opens(place - 1)
            joins = "connector" in self.classes[place]
            joins = joins and "connector" not in self.classes[place - 1]
            # Of several words that open a part, the first: "so can you please mark".
            if (before.kind == "mark" and before.key not in {"#", "&", "+", "/", "(", "@"}) or (
                self._opens(place) and (first or joins)
            ):
                cuts.append(place)
        return cuts

    def _opens(self, place: int) -> bool:
        return any(name in _OPENING for name in self.classes[place])

    def _segment(self, start: int, end: int) -> list[str]:
        """The features of the tokens from `start` to `end` as one segment."""
        symbols = self.symbols[start:end]
        while symbols and symbols[-1] in _ENDS:
            symbols.pop()
        short: list[str] = []
        for symbol in symbols:
            if not short or short[-1] != symbol:
                short.append(symbol)
        ringed = ["^", *short, "$"]
        found = ["bias", f"n={min(len(symbols), 12) // 2}"]
        found += {f"1={symbol}" for symbol in short}
        found += {f"2={a} {b}" for a, b in pairwise(ringed)}
        found += {f"3={a} {b} {c}" for a, b, c in zip(ringed, ringed[1:], ringed[2:], strict=False)}
        found += ["^3=" + " ".join(short[:3]), "^4=" + " ".join(short[:4])]
        found.append("$3=" + " ".join(short[-3:]))
        if len(short) <= 6:
            found.append("all=" + " ".join(short))
        found += self._word_features(start, end) + self._class_features(start, end)
        found += self._match_features(start, end) + self._around(start, end, short)
        return list(map(sys.intern, found))

    def _word_features(self, start: int, end: int) -> list[str]:
        """Words as they are, if no task holds them: what the classes leave out."""
        words = self._words[start:end]
        found = {f"k={word}" for word in words}
        found |= {f"k2={a} {b}" for a, b in pairwise(["^", *words, "$"])}
        own = self._commands(start, end)
        rest = self._commands(0, start) | self._commands(end, len(self.tokens))
        found |= {f"r={name} {bool(own)}" for name in rest}
        return list(found)

    def _commands(self, start: int, end: int) -> set[str]:
        return {name for names in self.classes[start:end] for name in names if name in _COMMANDS}

    def _class_features(self, start: int, end: int) -> list[str]:
        seen: list[str] = []
        found: set[str] = set()
        for place in range(start, end):
            names = [*self.classes[place], *(["H"] if self.named[place] else [])]
            if self.forms[place] and not self.classes[place]:
                names.append("V" + self.forms[place])
            found.update(f"c={name}" for name in names)
            if len(seen) < PAIRED_MAX * 2:
                found.update(f"p={a}>{b}" for a in seen for b in names)
                seen += names
        return list(found)

    def _match_features(self, start: int, end: int) -> list[str]:
        words: dict[int, set[str]] = {}
        told: set[int] = set()
        unnamed = exact = 0
        for place in range(start, end):
            token, named = self.tokens[place], self.named[place]
            known = self.classes[place] or token.key in STOP | _GLUE or token.key.isdecimal()
            unnamed += not named and (token.kind == "quote" or (token.kind == "word" and not known))
            exact += token.kind == "quote" and bool(named)
            for number in named:
                words.setdefault(number, set()).add(self.stems[place])
            if self.forms[place] == "p":
                told |= named
        tasks = self.titles.tasks
        # The task of whose title most was said, in quarters; the first of several.
        shares = [
            (min(4, 4 * len(held) // max(1, len(tasks[number].words))), len(held), -number)
            for number, held in words.items()
        ]
        best, size, which = max(shares, default=(0, 0, 1))
        found = [f"m={best}", f"u={min(unnamed, 4)}", f"mu={best // 2} {min(unnamed, 3)}"]
        found.append(f"x={exact}")
        if not shares:
            return [*found, "m=none" if tasks else "empty"]
        found.append(f"mn={min(size, 3)} {min(unnamed, 3)}")
        if -which in told:
            found.append(f"told={min(size, 2)} {min(unnamed, 2)}")
        return [*found, "closed"] if tasks[-which].completed else found

    def _around(self, start: int, end: int, short: Sequence[str]) -> list[str]:
        before = self.symbols[start - 1] if start else "^"
        after = self.symbols[end] if end < len(self.symbols) else "$"
        first, last = self.symbols[start], self.symbols[end - 1]
        asked = self.context.asked or "-"
        ahead = self.symbols[start - 2] if start > 1 else "^"
        found = [f"b={before}", f"e={last} {after}", f"bf={before} {first}",
                 f"bb={ahead} {before} {first}", f"ends={ends_sentence(self.tokens, end - 1)}",
                 f"q={last == '?'} {first}", f"asked={asked} {len(short) > 3}",
                 f"did={self.context.did or '-'} {first}"]  # fmt: skip
        if asked != "-":
            found.append(f"asked1={asked} {first}")
        if before == "^" and after == "$":
            found += ["whole", f"whole {min(len(short), 4)}", f"wholeu {'H' in ' '.join(short)}"]
        if ":" in short:
            found.append("colon")
        return found

    def _token(self, place: int, start: int, end: int, kind: str) -> list[str]:
        """The features of a token of the segment from `start` to `end`, for that kind of label."""
        symbols, keys = self.symbols, self.tokens

        two, one, here, then, later = (
            "^" if n < start else symbols[n] if n < end else "$"
            for n in range(place - 2, place + 3)
        )
        far = symbols[place - 3] if place - 3 >= start else "^"
        key, former = _shown(keys[place]), _shown(keys[place - 1]) if place > start else ""
        hit = bool(self.named[place])
        found = [
            "bias", f"0={here}", f"k={key}", f"-1={one}", f"-2={two}", f"+1={then}",
            f"+2={later}", f"-10={one} {here}", f"0+1={here} {then}", f"-2-1={two} {one}",
            f"-2-10={two} {one} {here}", f"-10+1={one} {here} {then}", f"+1+2={then} {later}",
            f"0+1+2={here} {then} {later}", f"-3={far} {two} {one}",
            f"k-1={former} {key}",
            f"h={hit} {one} {then}",
            f"at={min(place - start, 4)}", f"to={min(end - 1 - place, 3)}",
        ]  # fmt: skip
        found += [f"c={name}" for name in self.classes[place]]
        if place > start:
            found += [f"c-1={name}" for name in self.classes[place - 1]]
            found.append(f"run={bool(self.named[place] & self.named[place - 1])} {here}")
        if place + 1 < end:
            found += [f"c+1={name}" for name in self.classes[place + 1]]
        again = self.stems[place] in self.stems[start:place]
        found.append(f"again={again} {hit} {one}")
        if end - place <= 6:
            # How a part ends: "on my list please" is no part of a title.
            found.append(f"tail={' '.join(symbols[place:end])}")
            found.append(f"tail+1={' '.join(symbols[place + 1 : end])}")
        passed = set(symbols[max(start, place - 30) : place])
        ahead = set(symbols[place + 1 : min(end, place + 30)])
        (field, fields), (to, tos), (quoted, quotes), (negated, negates) = (
            (bool(words & passed), bool(words & ahead)) for words in _TELLING
        )
        found += [
            f"s={':' in passed} {field} {to} {hit}", f"f={field} {fields}", f"t={to} {tos}",
            f"col={':' in passed} {':' in ahead}", f"qq={quoted} {quotes} {here in _TELLING[2]}",
            f"hs={any(self.named[start:place])} {hit} {any(self.named[place + 1 : end])}",
            f"not={negated} {negates} {hit}", f"on={bool({'on', 'list'} & ahead)} {here}",
        ]  # fmt: skip
        return [sys.intern(f"{kind} {feature}") for feature in found]

    def _span(self, first: int, until: int, start: int, end: int, kind: str) -> list[str]:
        """The features of the tokens that may fill a slot, in the segment from `start` to `end`."""
        at = self._at
        behind = [self.symbols[n] for n in range(until, min(end, until + 4))]
        while behind and behind[-1] in _ENDS:
            behind.pop()
        opening, closing = self.symbols[first], self.symbols[until - 1]
        before, ahead = at(first - 1, start, end), at(first - 2, start, end)
        after, later = at(until, start, end), at(until + 1, start, end)
        size = min(until - first, 9)
        named = sum(map(bool, self.named[first:until]))
        whole = f"{first == start} {not behind}"
        found = [
            f"n={size}", f"o={before} {opening}", f"oo={ahead} {before}", f"e={closing} {after}",
            f"ee={after} {later}", f"oe={before} {after}", f"w={whole}",
            f"wo={whole} {before} {opening}", f"wf={whole} {self.forms[first]}",
            f"wn={whole} {size}", f"m={min(named, 3)} {size}", f"ma={named == until - first}",
            f"c={closing}", f"f={opening} {size > 1}", f"r={'/'.join(behind)} {len(behind)}",
            f"k={self.tokens[first].key if self.tokens[first].kind == 'word' else ''}",
            f"ke={self._words[until - 1]} {after}",
        ]  # fmt: skip
        return [sys.intern(f"{kind} {feature}") for feature in found]

    def _at(self, place: int, start: int, end: int) -> str:
        return "^" if place < start else self.symbols[place] if place < end else "$"

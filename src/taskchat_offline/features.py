"""What the learned parts see of a message: words, their classes, and which tasks they could name."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Context:
    """What the conversation has led to.

    Attributes:
        asked: What the assistant asked last: `""`, "which", "whether" or "what".
        did: The tool that the last turn called last, or nothing.
    """

    asked: str = ""
    did: str = ""


def _shown(token: Token) -> str:
    """The token's key without what parts the lines of a file."""
    return "¶" if token.key == "\n" else token.key or token.kind


class Heard:
    """One message as the models see it.

    Attributes:
        tokens: Its tokens.
        symbols: Of each token, what stands for it: a known word itself, else its kind.
        named: Of each token, the places of the tasks whose titles hold it.
        cuts: Tokens at which a segment may begin; the first is 0.
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
        self.cuts = self._cuts()

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
            if token.kind == "mark" and token.key not in {"+", "&", "#"}:
                continue
            if (before.kind == "mark" and before.key not in {"#", "&", "+", "/", "(", "@"}) or (
                self._opens(place)
                and (
                    # Only at the first of several: "so can you please mark".
                    not self._opens(place - 1)
                    or (
                        "connector" in self.classes[place]
                        and "connector" not in self.classes[place - 1]
                    )
                )
            ):
                cuts.append(place)
        return cuts

    def _opens(self, place: int) -> bool:
        return any(name in _OPENING for name in self.classes[place])

    def segment(self, start: int, end: int) -> list[str]:
        """The features of the tokens from `start` to `end` as one segment."""
        symbols = self.symbols[start:end]
        while symbols and symbols[-1] in {",", ".", "!", ";", "¶"}:
            symbols.pop()
        short: list[str] = []
        for symbol in symbols:
            if not short or short[-1] != symbol:
                short.append(symbol)
        found = ["bias", f"n={min(len(symbols), 12) // 2}"]
        found += [f"1={symbol}" for symbol in set(short)]
        ringed = ["^", *short, "$"]
        found += {f"2={a} {b}" for a, b in itertools.pairwise(ringed)}
        found += {f"3={a} {b} {c}" for a, b, c in zip(ringed, ringed[1:], ringed[2:], strict=False)}
        found.append("^3=" + " ".join(short[:3]))
        found.append("^4=" + " ".join(short[:4]))
        found.append("$3=" + " ".join(short[-3:]))
        if len(short) <= 6:
            found.append("all=" + " ".join(short))
        found += self._class_features(start, end)
        found += self._match_features(start, end)
        found += self._around(start, end, short)
        return found

    def _class_features(self, start: int, end: int) -> list[str]:
        seen: list[str] = []
        singles: set[str] = set()
        pairs: set[str] = set()
        for place in range(start, end):
            names = list(self.classes[place])
            if self.named[place]:
                names.append("H")
            if self.forms[place] and not self.classes[place]:
                names.append("V" + self.forms[place])
            if not names:
                continue
            singles.update(names)
            if len(seen) < PAIRED_MAX * 2:
                pairs.update(f"{a}>{b}" for a in seen for b in names)
                seen += names
        return [f"c={name}" for name in sorted(singles)] + [f"p={pair}" for pair in sorted(pairs)]

    def _match_features(self, start: int, end: int) -> list[str]:
        words: dict[int, set[str]] = {}
        unnamed = exact = 0
        told: dict[int, bool] = {}
        for place in range(start, end):
            token = self.tokens[place]
            if token.kind == "quote":
                exact += bool(self.named[place])
                unnamed += not self.named[place]
            elif token.kind == "word" and not self.named[place]:
                known = self.classes[place] or token.key in STOP or token.key in _GLUE
                unnamed += not known and not token.key.isdecimal()
            for number in self.named[place]:
                words.setdefault(number, set()).add(self.stems[place])
                told[number] = told.get(number, False) or self.forms[place] == "p"
        tasks = self.titles.tasks
        best, which = 0.0, -1
        for number, held in sorted(words.items()):
            share = min(1.0, len(held) / max(1, len(tasks[number].words)))
            if share > best:
                best, which = share, number
        found = [
            f"m={int(best * 4)}",
            f"u={min(unnamed, 4)}",
            f"mu={int(best * 2)} {min(unnamed, 3)}",
            f"x={exact}",
        ]
        if which >= 0:
            size = len(words[which])
            found.append(f"mn={min(size, 3)} {min(unnamed, 3)}")
            if told[which]:
                found.append(f"told={min(size, 2)} {min(unnamed, 2)}")
            if tasks[which].completed:
                found.append("closed")
        else:
            found.append("empty" if not tasks else "m=none")
        return found

    def _around(self, start: int, end: int, short: Sequence[str]) -> list[str]:
        before = self.symbols[start - 1] if start else "^"
        after = self.symbols[end] if end < len(self.symbols) else "$"
        first, last = self.symbols[start], self.symbols[end - 1]
        asked = self.context.asked or "-"
        found = [
            f"b={before}",
            f"e={last} {after}",
            f"bf={before} {first}",
            f"bb={self.symbols[start - 2] if start > 1 else '^'} {before} {first}",
            f"ends={ends_sentence(self.tokens, end - 1)}",
            f"q={last == '?'} {first}",
            f"asked={asked} {len(short) > 3}",
            f"did={self.context.did or '-'} {first}",
        ]
        if asked != "-":
            found.append(f"asked1={asked} {first}")
        if before == "^" and after == "$":
            found += ["whole", f"whole {min(len(short), 4)}", f"wholeu {'H' in ' '.join(short)}"]
        if ":" in short:
            found.append("colon")
        return found

    def token(self, place: int, start: int, end: int, kind: str) -> list[str]:
        """The features of one token of the segment from `start` to `end`, for that kind of label."""
        symbols, keys = self.symbols, self.tokens

        def at(number: int) -> str:
            if number < start:
                return "^"
            return symbols[number] if number < end else "$"

        def key(number: int) -> str:
            return _shown(keys[number]) if start <= number < end else ""

        here, one, two = at(place), at(place - 1), at(place - 2)
        then, later = at(place + 1), at(place + 2)
        hit = bool(self.named[place])
        found = [
            "bias", f"0={here}", f"k={key(place)}", f"-1={one}", f"-2={two}", f"+1={then}",
            f"+2={later}", f"-10={one} {here}", f"0+1={here} {then}", f"-2-1={two} {one}",
            f"-2-10={two} {one} {here}", f"-10+1={one} {here} {then}", f"+1+2={then} {later}",
            f"0+1+2={here} {then} {later}", f"-3={at(place - 3)} {two} {one}",
            f"k-1={key(place - 1)} {key(place)}",
            f"h={hit} {one} {then}",
            f"at={min(place - start, 4)}", f"to={min(end - 1 - place, 3)}",
        ]  # fmt: skip
        found += [f"c={name}" for name in self.classes[place]]
        if start < place:
            found += [f"c-1={name}" for name in self.classes[place - 1]]
        if place + 1 < end:
            found += [f"c+1={name}" for name in self.classes[place + 1]]
        if place > start:
            found.append(f"run={bool(self.named[place] & self.named[place - 1])} {here}")
        again = self.stems[place] in self.stems[start:place]
        found.append(f"again={again} {hit} {one}")
        if end - place <= 6:
            # How a part ends: "on my list please" is no part of a title.
            found.append(f"tail={' '.join(symbols[place:end])}")
            found.append(f"tail+1={' '.join(symbols[place + 1 : end])}")
        passed = [symbols[n] for n in range(max(start, place - 30), place)]
        ahead = [symbols[n] for n in range(place + 1, min(end, place + 30))]
        colon = ":" in passed
        field = any(CLASSES_OF.get(s) and "field" in CLASSES_OF[s] for s in passed)
        field_ahead = any(CLASSES_OF.get(s) and "field" in CLASSES_OF[s] for s in ahead)
        to = bool({"to", "into", "as", "->", "=>", "say", "says", "saying"} & set(passed))
        to_ahead = bool({"to", "into", "as", "->", "=>", "say", "says", "saying"} & set(ahead))
        quoted = any(s in {"Q", "Qt"} for s in passed)
        quote_ahead = any(s in {"Q", "Qt"} for s in ahead)
        found += [
            f"s={colon} {field} {to} {hit}", f"f={field} {field_ahead}", f"t={to} {to_ahead}",
            f"col={colon} {':' in ahead}", f"qq={quoted} {quote_ahead} {here in ('Q', 'Qt')}",
            f"hs={any(self.named[start:place])} {hit} {any(self.named[place + 1 : end])}",
            f"not={bool({'not', 'than', 'instead'} & set(passed))}"
            f" {bool({'not', 'than', 'instead'} & set(ahead))} {hit}",
            f"on={'on' in ahead or 'list' in ahead} {here}",
        ]  # fmt: skip
        return [f"{kind} {feature}" for feature in found]

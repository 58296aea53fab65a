"""Phrases with gaps, matched whole against tokens. Matching never takes exponential time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from taskchat_offline.normalise import Token

Captures = dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class _Part:
    words: frozenset[str]
    gap: str
    optional: bool
    repeated: bool


class Pattern:
    """A phrase such as `mark {task} as? <done>`.

    `a|b` is either word, `<done>` any word of that class, `word?` may be missing, `word*` may
    come any number of times, `{task}` is a gap of one token or more. A pattern matches all the
    tokens or none.
    """

    def __init__(self, phrase: str, classes: Mapping[str, frozenset[str]]) -> None:
        self.phrase = phrase
        self._parts = tuple(_part(piece, classes) for piece in phrase.split())

    def match(self, tokens: Sequence[Token]) -> Captures | None:
        """Where the gaps lie in the first reading, or None."""
        return next(self.matches(tokens), None)

    def matches(self, tokens: Sequence[Token]) -> Iterator[Captures]:
        """Every reading, shortest first gap first."""
        # A state that led nowhere is not tried again: this bounds the work for any text.
        dead: set[tuple[int, int]] = set()
        yield from self._from(tokens, 0, 0, dead)

    def _from(
        self, tokens: Sequence[Token], place: int, part_index: int, dead: set[tuple[int, int]]
    ) -> Iterator[Captures]:
        if part_index == len(self._parts):
            if place == len(tokens):
                yield {}
            return
        if (place, part_index) in dead:
            return
        found = False
        part = self._parts[part_index]
        if part.gap:
            for end in range(place + 1, len(tokens) + 1):
                for captures in self._from(tokens, end, part_index + 1, dead):
                    found = True
                    yield {part.gap: (place, end), **captures}
        else:
            if place < len(tokens) and tokens[place].key in part.words:
                following = part_index if part.repeated else part_index + 1
                for captures in self._from(tokens, place + 1, following, dead):
                    found = True
                    yield captures
            if part.optional:
                for captures in self._from(tokens, place, part_index + 1, dead):
                    found = True
                    yield captures
        if not found:
            dead.add((place, part_index))


def _part(piece: str, classes: Mapping[str, frozenset[str]]) -> _Part:
    if piece.startswith("{"):
        return _Part(frozenset(), piece.strip("{}"), optional=False, repeated=False)
    repeated = piece.endswith("*")
    optional = repeated or piece.endswith("?")
    words: set[str] = set()
    for word in (piece[:-1] if optional else piece).split("|"):
        words |= classes[word.strip("<>")] if word.startswith("<") else {word}
    return _Part(frozenset(words), "", optional, repeated)

"""One text per answer: what a model says, told as it comes, apart from what it thinks aloud.

Models that think in their text put their thoughts between `<think>` and `</think>`. Some servers
leave out the opening tag, so that the text before the closing tag turns out to be thought. In code,
and where the user's own words are repeated, such tags are plain text.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final, Literal

from taskchat.texts import scrubbed

Kind = Literal["say", "think", "void"]
"""More of what is said; more of what is thought; all that was said so far was thought."""

BETWEEN: Final = "\n\n"
"""Separates two messages of one answer, as two paragraphs."""

NAMES: Final = ("think", "thinking", "thought", "reasoning")
"""Names of the tags that models and their servers put around thoughts."""

_MARK: Final = re.compile(rf"`+|~{{3,}}|</?(?:{'|'.join(NAMES)})\s*>|\n", re.IGNORECASE)
_OPEN: Final = re.compile(r"(?:`+|~+|</?[a-z]*\s*)\Z", re.IGNORECASE)
"""The end of a piece that may become a mark together with the next piece."""

_PAIR: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")
"""A character as a surrogate pair, as JSON may write it; a stream may cut it in the middle."""

_TAGS: Final = tuple(f"{start}{name}" for start in ("<", "</") for name in NAMES)


class Thinking:
    """Splits a text into its parts as it comes.

    A tag at the start of a line opens a block whether it is closed or not: an answer may be cut off
    inside it. A tag within a line opens one only if it is closed: a text may well mention a tag.

    Args:
        is_quoted: Whether a block repeats the user's own words.
    """

    def __init__(self, is_quoted: Callable[[str], bool] = lambda _: False) -> None:
        self._is_quoted = is_quoted
        self._rest = ""
        self._thinks = False
        self._aside: list[str] | None = None
        self._fence = ""
        self._ticks = ""
        self._in_line = False

    def take(self, piece: str) -> Iterator[tuple[Kind, str]]:
        """Read one more piece; what may yet become something else is held back."""
        text = self._rest + piece
        end = len(text)
        found = _OPEN.search(text, max(0, end - 64))
        if found and (found[0][0] != "<" or _may_be_a_tag(found[0])):
            end = found.start()
        self._rest = text[end:]
        yield from self._read(text[:end])

    def finish(self) -> Iterator[tuple[Kind, str]]:
        """What was held back, now that the text has ended."""
        rest, self._rest = self._rest, ""
        yield from self._read(rest)
        if self._aside is not None:
            yield "say", "".join(self._aside)
            self._aside = None

    def _read(self, text: str) -> Iterator[tuple[Kind, str]]:
        at = 0
        for mark in _MARK.finditer(text):
            yield from self._plain(text[at : mark.start()])
            yield from self._mark(mark[0])
            at = mark.end()
        yield from self._plain(text[at:])

    def _plain(self, text: str) -> Iterator[tuple[Kind, str]]:
        if not text:
            return
        if self._aside is not None:
            self._aside.append(text)
        elif self._thinks:
            yield "think", text
        else:
            self._in_line = self._in_line or not text.isspace()
            yield "say", text

    def _mark(self, mark: str) -> Iterator[tuple[Kind, str]]:
        closes = mark.startswith("</")
        if self._thinks or self._aside is not None:
            if closes:
                yield from self._close(mark)
            else:
                yield from self._plain(mark)
        elif mark == "\n":
            yield "say", mark
            self._ticks, self._in_line = "", False
        elif mark[0] in "`~":
            self._code(mark)
            yield from self._plain(mark)
        elif self._fence or self._ticks:
            yield from self._plain(mark)
        elif closes:
            self._in_line = False
            yield "void", ""
        elif self._in_line:
            self._aside = [mark]
        else:
            self._thinks = True

    def _close(self, tag: str) -> Iterator[tuple[Kind, str]]:
        aside, self._thinks, self._aside = self._aside, False, None
        if aside is None:
            yield "think", ""
        elif self._is_quoted("".join((*aside, tag))):
            yield "say", "".join((*aside, tag))
        else:
            yield "think", "".join(aside[1:])

    def _code(self, marks: str) -> None:
        if self._fence:
            if not self._in_line and marks.startswith(self._fence):
                self._fence = ""
        elif self._ticks:
            if marks == self._ticks:
                self._ticks = ""
        elif not self._in_line and len(marks) >= len("```"):
            self._fence = marks
        elif marks[0] == "`":
            self._ticks = marks


def _may_be_a_tag(text: str) -> bool:
    name = text.rstrip().lower()
    return any(tag == name or (name == text.lower() and tag.startswith(name)) for tag in _TAGS)


def _joined(pair: re.Match[str]) -> str:
    return pair[0].encode("utf-16", "surrogatepass").decode("utf-16")


class Speech:
    """What one answer says and thinks. What is passed on piece by piece is what is kept of it.

    White space around the text is no part of it.

    Args:
        say: Called with more of what is said.
        think: Called with more of what is thought.
        void: Called when what was said so far turns out to be thought.
        thinks: Whether its model may think in its text.
        is_quoted: Whether a text repeats the user's own words.
    """

    def __init__(
        self,
        *,
        say: Callable[[str], None],
        think: Callable[[str], None],
        void: Callable[[], None],
        thinks: bool,
        is_quoted: Callable[[str], bool],
    ) -> None:
        self._say, self._think, self._void = say, think, void
        self._apart = Thinking(is_quoted) if thinks else None
        self._heard, self._half = "", ""
        self._message: int | None = None
        self._said: list[str] = []
        self._blank = ""
        self._begins = True

    @property
    def said(self) -> str:
        """The text so far."""
        return scrubbed("".join(self._said))

    def hear(self, delta: str, message: int | None = None) -> None:
        """Read one more piece of a message of the answer."""
        if not delta:
            return
        if self._heard and message != self._message:
            delta = BETWEEN + delta
        self._message = message
        delta = _PAIR.sub(_joined, self._half + delta)
        self._half = delta[-1:] if "\ud800" <= delta[-1:] <= "\udbff" else ""
        self._take(delta[: len(delta) - len(self._half)])

    def _take(self, delta: str) -> None:
        self._heard += delta
        if self._apart is None:
            self._tell("say", delta)
        else:
            for kind, text in self._apart.take(delta):
                self._tell(kind, text)

    def end(self, whole: str) -> None:
        """End the answer.

        Args:
            whole: Its text, as the vendor reports it at the end. What was heard stays what is said;
                only what follows it is added.
        """
        whole = _PAIR.sub(_joined, whole)
        # A half character at the end comes whole with the rest, if there is more.
        self._take(whole[len(self._heard) :] if whole.startswith(self._heard) else self._half)
        for kind, text in self._apart.finish() if self._apart else ():
            self._tell(kind, text)

    def _tell(self, kind: Kind, text: str) -> None:
        if kind == "void":
            thought, self._said, self._blank = "".join(self._said), [], ""
            self._begins = True
            self._void()
            self._think(thought)
        elif kind == "think":
            # A block and the white space around it must leave no more than if there were none.
            self._begins = self._begins or bool(self._blank)
            self._think(text)
        else:
            self._speak(text)

    def _speak(self, text: str) -> None:
        if self._begins:
            text = text.lstrip()
        if not text:
            return
        self._begins = False
        text = self._blank + text
        spoken = text.rstrip()
        self._blank = text[len(spoken) :]
        if spoken:
            self._said.append(spoken)
            self._say(spoken)

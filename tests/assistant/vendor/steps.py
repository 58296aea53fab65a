"""What a scripted model does when it is asked, whichever API it is asked by."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Ending = Literal["whole", "breaks", "ends", "fails", "stalls"]
"""How an answer goes: to its end; until its connection breaks; until its stream ends as if it were
whole; until it tells of an error; until nothing more comes."""


@dataclass(frozen=True)
class Text:
    """What a model says."""

    text: str


@dataclass(frozen=True)
class Refusal:
    """What a model says when it won't."""

    text: str


@dataclass(frozen=True)
class Call:
    """A tool call.

    Attributes:
        name: Of the tool.
        arguments: As the model wrote them.
        id: One is made where none is given.
        sealed: What led to the call, as Google seals it. Only Chat Completions tell of it.
    """

    name: str
    arguments: str
    id: str | None = None
    sealed: str | None = None


@dataclass(frozen=True)
class Thought:
    """Reasoning, as OpenAI seals it. Only Responses tell of it."""

    sealed: str


Part = Text | Refusal | Call | Thought


class Step:
    """What a model does when it is asked."""


@dataclass(frozen=True)
class Answer(Step):
    """What a model answers.

    Attributes:
        parts: In order; none is an answer that says nothing.
        tokens: Input and output, as the vendor counts them.
        cached: How many of the input it had cached; None where it does not say.
        cut: Whether the most tokens of an answer were reached.
        pace_s: Between two words of a stream.
        ending: How it goes.
        words: After how many words it ends so, where it is not whole; of a call, pieces.
    """

    parts: tuple[Part, ...] = ()
    tokens: tuple[int, int] = (10, 5)
    cached: int | None = 0
    cut: bool = False
    pace_s: float = 0.0
    ending: Ending = "whole"
    words: int = 0


@dataclass(frozen=True)
class Failure(Step):
    """An HTTP status other than success."""

    status: int
    code: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reset(Step):
    """A connection that is reset before any byte of an answer."""


@dataclass(frozen=True)
class Hang(Step):
    """A request that is taken and never answered."""


@dataclass(frozen=True)
class Garbage(Step):
    """A success that is none: 200, with whatever a proxy or a bug may send."""

    content: str
    type: str


@dataclass(frozen=True)
class Shaped(Step):
    """An answer that is told in another shape than OpenAI's.

    Attributes:
        answer: What it says.
        body: Makes the JSON of it another, where it comes whole.
        told: Makes the objects of a stream others; texts among them are sent as they are.
        cut: After how many bytes the stream is cut into pieces, over and over; 0 for nowhere.
        ends: Whether the stream ends in good order; it breaks off otherwise.
    """

    answer: Answer
    body: Callable[[dict[str, Any]], Any]
    told: Callable[[list[dict[str, Any]]], Sequence[dict[str, Any] | str]]
    cut: int = 0
    ends: bool = True


@dataclass(frozen=True)
class Held(Step):
    """A step that waits until it is let go."""

    step: Step
    gate: asyncio.Event


@dataclass(frozen=True)
class Always(Step):
    """A step that never ends."""

    step: Step


def says(text: str, *, tokens: tuple[int, int] = (10, 5)) -> Answer:
    return Answer((Text(text),), tokens)


def calls(name: str, /, *, tokens: tuple[int, int] = (10, 5), **arguments: Any) -> Answer:
    return Answer((Call(name, json.dumps(arguments)),), tokens)


def calls_raw(
    name: str, arguments: str, *, call_id: str | None = None, sealed: str | None = None
) -> Answer:
    """A call whose arguments are this text, be it JSON or not."""
    return Answer((Call(name, arguments, call_id, sealed),))


def thinks(sealed: str) -> Answer:
    return Answer((Thought(sealed),))


def refuses(text: str) -> Answer:
    return Answer((Refusal(text),))


def together(*answers: Answer) -> Answer:
    """One answer of these in order."""
    return replace(answers[0], parts=tuple(part for one in answers for part in one.parts))


def counting(answer: Answer, read: int, wrote: int, *, cached: int | None = 0) -> Answer:
    """The same, at another price."""
    return replace(answer, tokens=(read, wrote), cached=cached)


def empty() -> Answer:
    """Neither text nor calls."""
    return Answer()


def incomplete(text: str) -> Answer:
    """As much as the most tokens of an answer allow."""
    return Answer((Text(text),) if text else (), cut=True)


def trickles(text: str, pace_s: float = 0.05) -> Answer:
    return Answer((Text(text),), pace_s=pace_s)


def halves(text: str = "One two three four.", *, words: int = 2) -> Answer:
    """So many words, then the connection breaks; half of the JSON where nothing is streamed."""
    return Answer((Text(text),), ending="breaks", words=words)


def ends_early(text: str = "One two three four.", *, words: int = 2) -> Answer:
    """So many words, then the stream ends in good order, as if that had been all."""
    return Answer((Text(text),), ending="ends", words=words)


def fails_inside(text: str = "One two three four.", *, words: int = 2) -> Answer:
    """So many words, then the stream tells of an error; a failed answer where nothing streams."""
    return Answer((Text(text),), ending="fails", words=words)


def stalls(text: str = "One two three four.", *, words: int = 2) -> Answer:
    """So many words, then nothing more, on a connection that stays open."""
    return Answer((Text(text),), ending="stalls", words=words)


def loops(times: int, name: str = "list_tasks") -> list[Answer]:
    """A model that has lost its way: the same call over and over."""
    return [calls(name)] * times


def fails(
    status: int,
    *,
    code: str | None = None,
    retry_after: float | str | None = None,
    should_retry: bool | None = None,
) -> Failure:
    """An HTTP status.

    Args:
        status: 429, 500 …
        code: As in the body's `error.code`.
        retry_after: Seconds, or a date.
        should_retry: What the vendor thinks of a repetition; it seldom says so.
    """
    headers = {}
    if retry_after is not None:
        headers["retry-after"] = str(retry_after)
    if should_retry is not None:
        headers["x-should-retry"] = "true" if should_retry else "false"
    return Failure(status, code, headers)


def resets() -> Reset:
    return Reset()


def hangs() -> Hang:
    return Hang()


def garbage(content: str = "<html>Bad gateway</html>", *, type: str = "text/html") -> Garbage:
    return Garbage(content, type)


def shaped(
    answer: Answer,
    *,
    body: Callable[[dict[str, Any]], Any] = lambda body: body,
    told: Callable[[list[dict[str, Any]]], Sequence[dict[str, Any] | str]] = lambda told: told,
    cut: int = 0,
    ends: bool = True,
) -> Shaped:
    """An answer as another vendor of the same interface may put it."""
    return Shaped(answer, body, told, cut, ends)


def held(step: Step, gate: asyncio.Event) -> Held:
    """This step, once the gate is open."""
    return Held(step, gate)


def always(step: Step) -> Always:
    """This step, however often the model is asked."""
    return Always(step)

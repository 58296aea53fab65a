"""What a script is: turns, each with what the model answers, call by call.

Its classes are the schema of the file and of the header; docs/scripted-model.md shows it.
"""

from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    field_validator,
    model_validator,
)

SECONDS_MAX: Final = 600
"""The longest delay; no run of a turn takes longer by default, nor waits longer for one piece."""

TIMES_MAX: Final = 100
"""More repeats than a model call may have."""

TOKENS_MAX: Final = 10_000_000
"""More than a model reads or writes at once."""

ANY: Final = "*"
"""The pattern that fits every message; within a pattern it stands for any text."""


def _listed(value: object) -> object:
    """One thing is a list of one."""
    return [value] if isinstance(value, str | dict) else value


def _failure(value: object) -> object:
    """A failure in short: `429` is a status, `timeout` a kind."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return {"kind": "status", "status": value}
    return {"kind": value} if isinstance(value, str) else value


Texts: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Spoken: TypeAlias = str | tuple[str, ...]
Seconds: TypeAlias = Annotated[float, Field(ge=0, le=SECONDS_MAX)]


class Part(BaseModel):
    """A part of a script; a key that it does not know is an error, or a typo would go unseen."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Expectation(Part):
    """What the model must be given; anything else fails the turn.

    Attributes:
        instructions: Texts that the instructions hold.
        history: Texts that were said, called or answered in earlier turns.
        turn: Texts of this turn so far: the message, what was called, and what tools answered.
        absent: Texts that are in none of these.
        tools: Names of tools that are offered.
        messages_before: How many messages the user had in earlier turns.
    """

    instructions: Texts = ()
    history: Texts = ()
    turn: Texts = ()
    absent: Texts = ()
    tools: Texts = ()
    messages_before: int | None = Field(None, ge=0)


class Call(Part):
    """A tool call.

    Attributes:
        tool: The tool's name; one that does not exist is called all the same.
        arguments: What it is given. A text is passed on as it is, so that it may be no JSON.
    """

    tool: str = Field(min_length=1, max_length=255)
    arguments: dict[str, JsonValue] | str = {}


class Failure(Part):
    """How a model call fails.

    Attributes:
        kind: `status`: the vendor answers with an error of HTTP. `cut`: the stream breaks off.
            `timeout`: the time of a model call is up, at once. `hang`: nothing comes at all.
        status: The error's status, for `status`.
        code: The vendor's own code beside it.
        retry_after_s: What its Retry-After says.
        after: Pieces of the text that come before a `cut`.
        times: How many attempts fail; the next one gets the answer. Without it all do.
    """

    kind: Literal["status", "cut", "timeout", "hang"]
    status: int | None = Field(None, ge=400, le=599)
    code: str | None = None
    retry_after_s: float | None = Field(None, ge=0)
    after: int = Field(0, ge=0)
    times: int | None = Field(None, ge=1, le=TIMES_MAX)

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        given = self.model_fields_set
        if (self.kind == "status") != (self.status is not None):
            raise ValueError("status goes with the kind status, and with no other")
        if self.kind != "status" and given & {"code", "retry_after_s"}:
            raise ValueError("code and retry_after_s go with the kind status")
        if self.kind != "cut" and "after" in given:
            raise ValueError("after goes with the kind cut")
        return self


class Used(Part):
    """What the model is said to have used.

    Attributes:
        input_tokens: What it read.
        output_tokens: What it wrote.
    """

    input_tokens: int = Field(0, ge=0, le=TOKENS_MAX)
    output_tokens: int = Field(0, ge=0, le=TOKENS_MAX)


class Answered(Part):
    """What one model call comes to.

    Attributes:
        expect: What the model must be given.
        delay_s: Seconds before anything comes.
        think: What it thinks aloud; a list is streamed piece by piece, a text word by word.
        say: What it says, likewise.
        pace_s: Seconds before every streamed piece.
        call: The tools that it calls, in this order.
        fail: How it fails.
        usage: What it is said to have used.
    """

    expect: Expectation = Expectation()
    delay_s: Seconds = 0
    think: Spoken = ""
    say: Spoken = ""
    pace_s: Seconds = 0
    call: Annotated[tuple[Call, ...], BeforeValidator(_listed)] = ()
    fail: Annotated[Failure | None, BeforeValidator(_failure)] = None
    usage: Used = Used()

    @model_validator(mode="after")
    def _comes_to_something(self) -> Self:
        ends_in_failure = self.fail is not None and self.fail.times is None
        if not (ends_in_failure or {"say", "call"} & self.model_fields_set):
            raise ValueError("say, call or fail: one of them is needed")
        return self


class Turn(Part):
    """What the model answers in one turn.

    Attributes:
        message: Which messages it answers: a text in which * stands for any text. Without it, it
            answers the turn of a conversation whose place is its own among those without.
        answers: Its model calls, in order.
    """

    message: str | None = None
    answers: tuple[Answered, ...] = Field(min_length=1)


class Script(Part):
    """A whole script.

    Attributes:
        turns: The first whose pattern fits the message answers it; else the one at its place.
        fallback: What answers a model call that is not scripted; without it that is an error.
    """

    turns: tuple[Turn, ...] = Field(min_length=1)
    fallback: Literal["offline"] | None = None

    @field_validator("turns")
    @classmethod
    def _each_can_be_reached(cls, value: tuple[Turn, ...]) -> tuple[Turn, ...]:
        patterns = [turn.message for turn in value if turn.message is not None]
        for place, pattern in enumerate(patterns):
            if pattern in patterns[:place] or ANY in patterns[:place]:
                raise ValueError(f"no message reaches the turn of {pattern!r}: one before it fits")
        return value

    def turn(self, message: str, number: int) -> Turn | None:
        """The turn that answers a message; None if none does.

        Args:
            message: What the user said.
            number: The place of the turn in its conversation, from 1.
        """
        for turn in self.turns:
            if turn.message is not None and fits(turn.message, message):
                return turn
        in_order = [turn for turn in self.turns if turn.message is None]
        return in_order[number - 1] if 1 <= number <= len(in_order) else None


def fits(pattern: str, text: str) -> bool:
    """Whether a text fits a pattern, in time that grows no faster than the text."""
    if ANY not in pattern:
        return text == pattern
    first, *between, last = pattern.split(ANY)
    at, end = len(first), len(text) - len(last)
    if at > end or not (text.startswith(first) and text.endswith(last)):
        return False
    for part in between:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True

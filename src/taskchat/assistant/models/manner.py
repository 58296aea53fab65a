"""How the offline model is told to be slow, to stream at a pace, or to fail.

Front ends build their waiting and error states against it; its failures take the same path as a
vendor's.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, Self, cast, get_args
from uuid import uuid4

from agents.items import ModelResponse, TResponseOutputItem, TResponseStreamEvent
from agents.models.interface import Model
from openai.types.responses import (
    ResponseCompletedEvent,
    ResponseOutputMessage,
    ResponseOutputRefusal,
    ResponseRefusalDeltaEvent,
    ResponseTextDeltaEvent,
)

Failure = Literal["error", "hang", "cut", "empty", "refusal"]

DELAY_S_MAX: Final = 600
PACE_S_MAX: Final = 10
AFTER_MAX: Final = 100

REFUSAL: Final = "I can't help with that."


class MannerError(ValueError):
    """Not a valid manner; the message says what one looks like."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How the offline model behaves, besides understanding.

    Written as `delay=1.5, pace=0.05, fail=cut, after=1`, any of them left out.

    Attributes:
        delay_s: Seconds before every answer.
        pace_s: Seconds between the words of a streamed reply.
        fail: How it fails: `error` at once; `hang` for ever; `cut` after the first word of a
            stream, and like `error` if nothing streams; `empty` by saying nothing; `refusal` by
            declining, which is a reply.
        after: Answers of the turn that succeed before it fails; 1 lets it call its tools first.
    """

    delay_s: float = 0.0
    pace_s: float = 0.0
    fail: Failure | None = None
    after: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a manner as people write it.

        Raises:
            MannerError: an unknown word, or a value out of its bounds.
        """
        given: dict[str, str] = {}
        for part in filter(None, (piece.strip() for piece in text.split(","))):
            key, _, value = part.partition("=")
            if key.strip() in given:
                raise MannerError(f"has {key.strip()} twice")
            given[key.strip()] = value.strip()
        if given.keys() - {"delay", "pace", "fail", "after"}:
            raise MannerError("takes delay, pace, fail and after, such as “delay=2, fail=error”")
        fail = given.get("fail")
        if fail is not None and fail not in get_args(Failure):
            raise MannerError(f"takes as fail one of {', '.join(get_args(Failure))}")
        return cls(
            _number(given, "delay", DELAY_S_MAX),
            _number(given, "pace", PACE_S_MAX),
            cast("Failure | None", fail),
            int(_number(given, "after", AFTER_MAX)),
        )


def _number(given: dict[str, str], key: str, most: int) -> float:
    try:
        value = float(given.get(key, "0"))
    except ValueError:
        value = -1.0
    if not 0 <= value <= most:
        raise MannerError(f"takes as {key} a number from 0 to {most}")
    return value


class OfflineFailure(Exception):
    """The failure that was asked for."""


class MannerlyModel(Model):
    """A model that behaves as the current turn asks.

    Args:
        model: The model that understands.
        manner: The current turn's manner, and how many answers the turn has had.
    """

    def __init__(self, model: Model, manner: Callable[[], tuple[Manner, int]]) -> None:
        self._model = model
        self._manner = manner

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        """The answer after its delay, or the failure in its place.

        Raises:
            OfflineFailure: it was asked for.
        """
        _, fail = await self._begin()
        if fail == "cut":
            raise OfflineFailure(fail)
        response = await self._model.get_response(*args, **kwargs)
        if fail is not None:
            response.output = _instead(fail)
        return response

    async def stream_response(
        self, *args: Any, **kwargs: Any
    ) -> AsyncIterator[TResponseStreamEvent]:
        """The answer word by word at its pace, or the failure in its place.

        Raises:
            OfflineFailure: it was asked for.
        """
        manner, fail = await self._begin()
        async for event in self._model.stream_response(*args, **kwargs):
            if isinstance(event, ResponseCompletedEvent):
                if fail == "cut":
                    raise OfflineFailure(fail)
                if fail is not None:
                    event.response.output = _instead(fail)
                if fail == "refusal":
                    yield _refusal_event()
            elif isinstance(event, ResponseTextDeltaEvent):
                if fail == "cut":
                    yield event
                    raise OfflineFailure(fail)
                if fail is not None:
                    continue
                if manner.pace_s:
                    await asyncio.sleep(manner.pace_s)
            yield event

    async def _begin(self) -> tuple[Manner, Failure | None]:
        """Wait as long as asked for; returns how this answer fails."""
        manner, answered = self._manner()
        fail = manner.fail if answered >= manner.after else None
        if manner.delay_s:
            await asyncio.sleep(manner.delay_s)
        if fail == "hang":
            await asyncio.Event().wait()
        if fail == "error":
            raise OfflineFailure(fail)
        return manner, fail


def _instead(fail: Failure) -> list[TResponseOutputItem]:
    refusal = ResponseOutputRefusal(type="refusal", refusal=REFUSAL)
    message = ResponseOutputMessage(
        id=f"msg_{uuid4().hex}",
        type="message",
        role="assistant",
        status="completed",
        content=[refusal] if fail == "refusal" else [],
    )
    return [message]


def _refusal_event() -> ResponseRefusalDeltaEvent:
    return ResponseRefusalDeltaEvent(
        type="response.refusal.delta",
        item_id="msg",
        output_index=0,
        content_index=0,
        delta=REFUSAL,
        sequence_number=1,
    )

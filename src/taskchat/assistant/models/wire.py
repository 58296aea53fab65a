"""From a vendor's bytes to JSON objects, whole or as a stream. Nothing else ever leaves here.

What only keeps a stream alive is skipped: comments, events without data, data that is no object.
"""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

from agents.exceptions import AgentsException, ModelBehaviorError
from openai import AsyncStream

DRAIN_S: Final = 0.1
"""How long to wait for the end of a stream once its answer is over, so that its connection can be
used again. The client's own streams wait as long."""


STATUS: Final = re.compile("[45][0-9][0-9]")
"""A status of HTTP that says what went wrong."""


class VendorFailed(AgentsException):
    """A vendor reported an error in place of an answer.

    Attributes:
        status_code: The HTTP status, if the error gives one.
        code: The vendor's own code, if the error gives one.
    """

    def __init__(
        self, message: str, *, status_code: int | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.code = code


class BrokeOff(VendorFailed):
    """An answer began and did not finish; another attempt may well succeed."""


@dataclass(frozen=True, slots=True)
class Told:
    """One event of a stream.

    Attributes:
        event: Its name, if it has one.
        data: Its data.
    """

    event: str | None
    data: dict[str, Any]


def object_in(text: str) -> dict[str, Any]:
    """The JSON object that a vendor's whole answer consists of.

    Raises:
        ModelBehaviorError: it is not an object.
        VendorFailed: it reports an error.
    """
    try:
        found = json.loads(text.removeprefix("\ufeff"))
    except ValueError as error:
        raise ModelBehaviorError("The answer is no JSON.") from error
    if not isinstance(found, dict):
        raise ModelBehaviorError("The answer is no JSON object.")
    raise_if_failed(found)
    return found


def raise_if_failed(told: dict[str, Any], *, begun: bool = False) -> None:
    """Raise if an object reports an error, as gateways do under a status of success.

    Args:
        told: The vendor's object.
        begun: Whether an answer had begun: a failure is then the vendor's, unless it says more.

    Raises:
        VendorFailed: it reports one.
    """
    error = told.get("error")
    if not error:
        return
    said = error if isinstance(error, dict) else {}
    codes = [said.get("code"), said.get("status"), said.get("status_code")]
    status = next((int(one) for one in map(str, codes) if STATUS.fullmatch(one)), None)
    code = next((one for one in (*codes, said.get("type")) if isinstance(one, str)), None)
    failed = BrokeOff if begun and status is None else VendorFailed
    raise failed("The vendor told of an error.", status_code=status, code=code)


class JsonStream(AsyncStream[Told]):
    """The events of a stream that say something.

    Some servers answer with one JSON object although they were asked for a stream: that is one
    event.

    Raises:
        VendorFailed: the stream reports an error, or continues with something unreadable.
        ModelBehaviorError: it said nothing at all.
    """

    async def __stream__(self) -> AsyncIterator[Told]:
        began = False
        events = self._iter_events()
        try:
            if "json" in self.response.headers.get("content-type", ""):
                yield Told(None, object_in((await self.response.aread()).decode()))
                return
            async for event in events:
                text = event.data.strip()
                if text.startswith("[DONE]"):
                    yield Told("done", {})
                    await _drain(events)
                    return
                if not text.startswith("{"):
                    continue
                try:
                    data = json.loads(text)
                except ValueError as error:
                    if began:
                        raise BrokeOff("The answer went on in what is no JSON.") from error
                    raise ModelBehaviorError("The answer is no JSON.") from error
                if "error" in (event.event, data.get("type")):
                    data = {"error": data.get("error") or data}
                raise_if_failed(data, begun=began)
                began = True
                yield Told(event.event, data)
            if not began:
                raise ModelBehaviorError("The stream said nothing.")
        finally:
            await self.response.aclose()


async def _drain(events: AsyncIterator[Any]) -> None:
    with contextlib.suppress(Exception):
        async with asyncio.timeout(DRAIN_S):
            async for _ in events:
                pass


class ToTheLastLine:
    """A decoder of event streams that delivers the last event even if no empty line follows it.

    Args:
        decoder: The client's own decoder.
    """

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder

    def aiter_bytes(self, iterator: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        """The events in these bytes, which may be cut anywhere."""
        events: AsyncIterator[Any] = self._decoder.aiter_bytes(_with_an_end(iterator))
        return events

    def iter_bytes(self, iterator: Any) -> Any:
        """Never used: the client is asynchronous.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError


async def _with_an_end(iterator: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async for piece in iterator:
        yield piece
    yield b"\n\n"

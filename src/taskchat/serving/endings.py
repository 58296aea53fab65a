"""How an answer ends its connection, where uvicorn's own way loses or spoils the answer."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


def end_unhurriedly(cycle: RequestResponseCycle, close: Callable[[], None]) -> None:
    """Let an answer that is the last one on its connection close that by `close`.

    Uvicorn closes at once, and a client that is still sending could lose the answer.
    """
    cycle.transport = cast(asyncio.Transport, _Unhurried(cycle.transport, close))


class _Unhurried:
    """A connection as an answer sees it: all but its closing is the transport's own."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self._transport = transport
        self.close = close

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def end_with_the_connection(cycle: RequestResponseCycle) -> None:
    """Answer as HTTP/1.0 does: a body of unknown length ends when the connection is closed.

    Uvicorn would send it in chunks, whose sizes an older client would take for text.
    """
    send, goes_on = cycle.send, False
    # Such a client does not know interim answers either.
    cycle.waiting_for_100_continue = False

    async def framed(message: Any) -> None:
        nonlocal goes_on
        if message["type"] == "http.response.start":
            names = {name.lower() for name, _ in message.get("headers", ())}
            if b"content-length" not in names:
                goes_on, cycle.chunked_encoding, cycle.keep_alive = True, False, False
        elif goes_on:
            cycle.expected_content_length = len(message.get("body", b""))
        await send(message)

    cycle.send = framed  # type: ignore[method-assign]

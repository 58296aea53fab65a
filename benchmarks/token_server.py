"""A language model behind a socket: OpenAI's Responses API, streamed, one token every so often.

The message says how many tokens, how far apart, and after how long. Each token is the moment at
which it was sent, in nanoseconds of the machine's monotonic clock, which all processes share.
"""

import asyncio
import contextlib
import json
import re
import sys
import time
from dataclasses import dataclass
from typing import Any

MODEL = "bench-model"


@dataclass(frozen=True)
class Recitation:
    """What the model is to say.

    Attributes:
        tokens: How many.
        interval_ms: From one to the next.
        pause_ms: Before the first.
    """

    tokens: int
    interval_ms: int = 20
    pause_ms: int = 0

    @property
    def message(self) -> str:
        return f"Say {self.tokens} tokens {self.interval_ms} ms apart after {self.pause_ms} ms"


_MESSAGE = re.compile(r"Say (\d+) tokens (\d+) ms apart after (\d+) ms")


def delays_ms(delta: str) -> list[float]:
    """How long ago the tokens of a text were sent."""
    now = time.monotonic_ns()
    return [(now - int(token)) / 1e6 for token in delta.split()]


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = int(head.partition("content-length:")[2].partition("\r\n")[0])
            body = json.loads(await reader.readexactly(length))
            # The newest message comes last; history stands before it.
            asked = _MESSAGE.findall(json.dumps(body["input"]))[-1]
            await _recite(writer, Recitation(*map(int, asked)))
    writer.close()


async def _recite(writer: asyncio.StreamWriter, recitation: Recitation) -> None:
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    _tell(writer, "created", response=response("in_progress", []))
    due = time.monotonic() + recitation.pause_ms / 1000
    said = ""
    for _ in range(recitation.tokens):
        await asyncio.sleep(due - time.monotonic())
        due += recitation.interval_ms / 1000
        token = f"{time.monotonic_ns()} "
        said += token
        _tell(
            writer,
            "output_text.delta",
            item_id="msg_1",
            output_index=0,
            content_index=0,
            delta=token,
            logprobs=[],
        )
    content = {"type": "output_text", "text": said, "annotations": []}
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [content],
    }
    _tell(writer, "completed", response=response("completed", [message]))
    writer.write(b"0\r\n\r\n")
    await writer.drain()


def _tell(writer: asyncio.StreamWriter, event: str, **fields: Any) -> None:
    name = f"response.{event}"
    data = json.dumps({"type": name, "sequence_number": 0, **fields})
    chunk = f"event: {name}\ndata: {data}\n\n".encode()
    writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))


def response(status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 0,
        "model": MODEL,
        "status": status,
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 100,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 100,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 200,
        },
    }


async def main() -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())

"""A stand-in for OpenAI's endpoint on a real socket: it answers as told and keeps what it got."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

Answer = dict[str, Any] | int | None
"""A body; a status for a failure; None to never answer."""


class Vendor:
    """One endpoint and its requests, oldest first."""

    def __init__(self, answers: list[Answer]) -> None:
        self.requests: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.url = ""
        self._answers = answers

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                length = next(
                    int(line.split(":")[1])
                    for line in lines
                    if line.lower().startswith("content-length")
                )
                self.paths.append(lines[0].split(" ")[1])
                self.requests.append(json.loads(await reader.readexactly(length)))
                answer = self._answers.pop(0)
                if answer is None:
                    await reader.read()
                    return
                status = answer if isinstance(answer, int) else 200
                body = json.dumps(
                    {"error": {"message": "no"}} if isinstance(answer, int) else answer
                ).encode()
                writer.write(
                    f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n"
                    f"Content-Length: {len(body)}\r\nx-should-retry: false\r\n\r\n".encode()
                    + body
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def vendor(*answers: Answer) -> AsyncIterator[Vendor]:
    """An endpoint that gives these answers in order."""
    standing = Vendor(list(answers))
    server = await asyncio.start_server(standing.handle, "127.0.0.1", 0)
    standing.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield standing
    finally:
        server.close()


def response(*output: dict[str, Any], tokens: tuple[int, int] = (10, 5)) -> dict[str, Any]:
    """An answer of the Responses API."""
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "gpt-test",
        "status": "completed",
        "output": list(output),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": tokens[0],
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": tokens[1],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": sum(tokens),
        },
    }


def message(text: str) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
    }


def call(name: str, call_id: str, **arguments: Any) -> dict[str, Any]:
    return {
        "id": f"fc_{call_id}",
        "type": "function_call",
        "status": "completed",
        "name": name,
        "call_id": call_id,
        "arguments": json.dumps(arguments),
    }


def reasoning(encrypted: str) -> dict[str, Any]:
    return {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": encrypted}

"""Bytes of HTTP/1.1: heads, whole answers, chunks of a stream, and an end that is none."""

import asyncio
import json
import socket
import struct
from collections.abc import Mapping

from tests.assistant.vendor.steps import Failure

CODES = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}
"""Type and code of an error, as OpenAI has them; all others are server errors."""


STREAM = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "transfer-encoding": "chunked",
}


def head(status: int, headers: Mapping[str, str]) -> bytes:
    told = {"content-type": "application/json", "x-request-id": "req_1", **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode("latin-1")


async def send(
    writer: asyncio.StreamWriter,
    status: int,
    content: str,
    headers: Mapping[str, str] | None = None,
) -> None:
    encoded = content.encode()
    length = {"content-length": str(len(encoded))}
    writer.write(head(status, length | dict(headers or {})) + encoded)
    await writer.drain()


async def send_failure(writer: asyncio.StreamWriter, failure: Failure, text: str) -> None:
    type_, code = CODES.get(failure.status, ("server_error", None))
    if failure.code is not None:
        type_ = code = failure.code
    error = {"message": text, "type": type_, "param": None, "code": code}
    await send(writer, failure.status, json.dumps({"error": error}), failure.headers)


async def send_chunk(writer: asyncio.StreamWriter, text: str) -> None:
    await send_bytes(writer, text.encode())


async def send_bytes(writer: asyncio.StreamWriter, piece: bytes) -> None:
    writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
    await writer.drain()


def reset(writer: asyncio.StreamWriter) -> None:
    """End the connection by RST and not by FIN: the answer is lost, not over."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()

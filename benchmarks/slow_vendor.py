"""A language model that takes its time, behind a socket: OpenAI's Responses API, not streamed.

Asked with a message it calls `add_task`, asked with the tool's output it says “Added.”; each answer
takes as many seconds as the second argument says.
"""

import asyncio
import contextlib
import itertools
import json
import sys
from typing import Any

from benchmarks.token_server import response

_numbers = itertools.count(1)


def _output(items: list[dict[str, Any]]) -> dict[str, Any]:
    number = next(_numbers)
    if items[-1].get("type") == "function_call_output":
        content = {"type": "output_text", "text": "Added.", "annotations": []}
        return {
            "id": f"msg_{number}",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [content],
        }
    return {
        "id": f"fc_{number}",
        "type": "function_call",
        "call_id": f"call_{number}",
        "name": "add_task",
        "arguments": '{"title": "Buy groceries"}',
        "status": "completed",
    }


async def main() -> None:
    port, seconds = int(sys.argv[1]), float(sys.argv[2])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                length = int(head.partition("content-length:")[2].partition("\r\n")[0])
                body = json.loads(await reader.readexactly(length))
                await asyncio.sleep(seconds)
                answer = json.dumps(response("completed", [_output(body["input"])])).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    b"Content-Length: %d\r\n\r\n%b" % (len(answer), answer)
                )
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())

"""Say something to a taskchat, and print what comes of it.

TASKCHAT_URL=http://127.0.0.1:8000 TASKCHAT_TOKEN=… python chat.py "Add task: Buy milk"
"""

import asyncio
import os
import sys

import taskchat_client


async def say(client: taskchat_client.Client, message: str) -> None:
    """Print the reply as it comes, and what was done for it."""
    async for event in client.stream(message):
        match event:
            case taskchat_client.StreamChunk():
                print(event.delta, end="", flush=True)
            case taskchat_client.StreamEnd():
                print(" (starting over)" if event.dropped else "")
            case taskchat_client.ToolResult():
                done = "failed" if event.is_error else "done"
                print(f"[{event.tool_name} {done} in {event.duration_ms} ms]")
            case taskchat_client.FeedbackRequest():
                print(event.question)
                answer = await asyncio.to_thread(input, "approve, reject or an answer: ")
                await client.answer(event.feedback_id, answer)


async def main() -> int:
    """Say what the arguments say; 1 if that fails."""
    url, token = os.environ["TASKCHAT_URL"], os.environ["TASKCHAT_TOKEN"]
    async with taskchat_client.Client(url, token) as client:
        try:
            await say(client, " ".join(sys.argv[1:]))
        except taskchat_client.TaskchatError as error:
            print(f"{error.code}: {error.message} (request {error.request_id})", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

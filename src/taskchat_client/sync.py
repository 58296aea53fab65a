"""The same client for programs without an event loop: it has one in a thread of its own."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterator, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from taskchat_client.client import Client
from taskchat_client.events import Event
from taskchat_client.models import (
    Answer,
    Conversation,
    Feedback,
    ListedTurn,
    Message,
    Steered,
    Task,
    Turn,
)

Result = TypeVar("Result")


class SyncClient:
    """As `Client`, with plain methods. Its arguments, answers and errors are the same."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._client = Client(*args, **options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="taskchat-client", daemon=True
        )
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give all connections back, and end the thread."""
        if self._loop.is_closed():
            return
        try:
            self._run(self._client.aclose())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    @property
    def user_id(self) -> str:
        """Who the user is."""
        return self._client.user_id

    def stream(self, message: str, **options: Any) -> Iterator[Event]:
        """As `Client.stream`."""
        return self._told(self._client.stream(message, **options))

    def follow(self, turn_id: str, *, after: int = 0) -> Iterator[Event]:
        """As `Client.follow`."""
        return self._told(self._client.follow(turn_id, after=after))

    def send(self, message: str, **options: Any) -> Answer:
        """As `Client.send`."""
        return self._run(self._client.send(message, **options))

    def wait(self, turn_id: str, *, after: int = 0) -> Answer:
        """As `Client.wait`."""
        return self._run(self._client.wait(turn_id, after=after))

    def steer(self, turn_id: str, message: str, **options: Any) -> Steered:
        """As `Client.steer`."""
        return self._run(self._client.steer(turn_id, message, **options))

    def cancel(self, turn_id: str) -> Turn:
        """As `Client.cancel`."""
        return self._run(self._client.cancel(turn_id))

    def turn(self, turn_id: str) -> Turn:
        """As `Client.turn`."""
        return self._run(self._client.turn(turn_id))

    def answer(
        self,
        feedback_id: str,
        answer: str,
        *,
        comment: str | None = None,
        calls: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Feedback:
        """As `Client.answer`."""
        return self._run(self._client.answer(feedback_id, answer, comment=comment, calls=calls))

    def conversations(self, *, newest: int | None = 50) -> list[Conversation]:
        """As `Client.conversations`."""
        return self._run(self._client.conversations(newest=newest))

    def conversation(self, conversation_id: str) -> Conversation:
        """As `Client.conversation`."""
        return self._run(self._client.conversation(conversation_id))

    def messages(self, conversation_id: str, *, newest: int | None = 100) -> list[Message]:
        """As `Client.messages`."""
        return self._run(self._client.messages(conversation_id, newest=newest))

    def turns(self, conversation_id: str, **options: Any) -> list[ListedTurn]:
        """As `Client.turns`."""
        return self._run(self._client.turns(conversation_id, **options))

    def tasks(self, *, status: str = "all") -> list[Task]:
        """As `Client.tasks`."""
        return self._run(self._client.tasks(status=status))

    def feedback(self, **options: Any) -> list[Feedback]:
        """As `Client.feedback`."""
        return self._run(self._client.feedback(**options))

    def _told(self, events: AsyncGenerator[Event, None]) -> Iterator[Event]:
        # A step that Ctrl-C has broken off has to come to its end before the whole is closed.
        lock = asyncio.Lock()
        try:
            while (event := self._run(_next(events, lock))) is not None:
                yield event
        finally:
            self._run(_closed(events, lock))

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            # Ctrl-C arrives here, and not in the thread.
            future.cancel()
            raise


async def _next(events: AsyncGenerator[Event, None], lock: asyncio.Lock) -> Event | None:
    async with lock:
        return await anext(events, None)


async def _closed(events: AsyncGenerator[Event, None], lock: asyncio.Lock) -> None:
    async with lock:
        await events.aclose()

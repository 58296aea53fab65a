"""One run as an AG-UI client reads it: it begins, is told, and ends; its turn may go on.

A run that takes a new message tells its turn from the first event on. Any other first sends what
was said before, and then tells what is under way from its beginning. Either way the client has all
of it, each part once, whatever it had before and whichever process runs the turn.
"""

import contextlib
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from ag_ui.core import (
    BaseEvent,
    Message,
    MessagesSnapshotEvent,
    RunErrorEvent,
    RunFinishedEvent,
    RunStartedEvent,
)
from ag_ui.core.version import PROTOCOL_VERSION
from ag_ui.encoder import EventEncoder
from fastapi.sse import KEEPALIVE_COMMENT
from starlette.responses import Response

from taskchat.errors import ShuttingDown
from taskchat.principal import Principal
from taskchat.transports.ag_ui.history import behind, history, snapshots, state, under_way
from taskchat.transports.ag_ui.telling import Telling
from taskchat.transports.dependencies import LiveDeps
from taskchat.transports.reading import turn_events
from taskchat.transports.sse import streamed
from taskchat.turns import store
from taskchat.turns.states import TurnRef
from taskchat.turns.store.events import EVENTS_MAX

_ENCODER: Final = EventEncoder()


@dataclass(frozen=True, slots=True)
class Run:
    """What a client asked for.

    Attributes:
        live: What it is told from.
        principal: Whose it is.
        thread_id: What the client calls the conversation.
        run_id: What the client calls this run.
        conversation_id: The conversation; None if there is none yet.
        turn: The turn of the message that it brought, or of what it answered; None if it did not.
        is_new: Whether that turn is new, and so the client has all before it.
        known: Ids of messages that the client has.
    """

    live: LiveDeps
    principal: Principal
    thread_id: str
    run_id: str
    conversation_id: UUID | None
    turn: TurnRef | None
    is_new: bool
    known: Sequence[str]

    def answer(self, headers: Mapping[str, str]) -> Response:
        """The run as server-sent events."""
        return streamed(
            self._lines(),
            headers,
            # Its turn goes on; this run ends.
            why=lambda error: _encoded(RunErrorEvent(message=error.message, code=error.code)),
        )

    async def _lines(self) -> AsyncGenerator[bytes, None]:
        async with contextlib.aclosing(self._events()) as events:
            async for event in events:
                yield KEEPALIVE_COMMENT if event is None else _encoded(event)

    async def _events(self) -> AsyncGenerator[BaseEvent | None, None]:
        yield RunStartedEvent(
            thread_id=self.thread_id, run_id=self.run_id, protocol_version=PROTOCOL_VERSION
        )
        turn, telling = self.turn, self._telling()
        if not self.is_new:
            # Before what was said is read: what ends in between is told, and not shown as well.
            turn = await self._under_way()
            said = await self._history(turn)
            for snapshot in await snapshots(self.live, self.principal, said):
                yield snapshot
        end: BaseEvent | None = None
        has_acted = False
        while turn is not None:
            async with contextlib.aclosing(self._of_turn(turn, telling)) as told:
                async for event in told:
                    if isinstance(event, RunFinishedEvent | RunErrorEvent):
                        end = event
                    else:
                        yield event
            has_acted = has_acted or telling.has_acted
            if self.is_new or telling.asked is not None or isinstance(end, RunErrorEvent):
                break
            turn = await behind(self.live, turn)
            telling = self._telling(says_message=True)
        if end is None and self.turn is not None:
            end = await self._end_of(self.turn)
        if has_acted:
            yield await state(self.live, self.principal)
        yield end or telling.finished()

    async def _of_turn(
        self, turn: TurnRef, telling: Telling
    ) -> AsyncGenerator[BaseEvent | None, None]:
        """One turn from its beginning to its end, or to what it asks; None after each silence."""
        coming = turn_events(self.live, turn, after=0, is_over=False)
        async with contextlib.aclosing(coming):
            async for batch in coming:
                if not batch:
                    yield None
                for event in batch:
                    for told in telling.tell(json.loads(event.data)):
                        yield told
                    if telling.has_dropped:
                        telling.has_dropped = False
                        said = await self._history(turn)
                        yield MessagesSnapshotEvent(messages=[*said, *telling.messages])
                    if event.ends_turn:
                        return
                # In what was read long after, the answer follows at once.
                if telling.asked is not None and len(batch) < EVENTS_MAX:
                    yield telling.interrupted(telling.asked)
                    return
        raise ShuttingDown

    def _telling(self, *, says_message: bool = False) -> Telling:
        return Telling(self.thread_id, self.run_id, self.known, says_message=says_message)

    async def _under_way(self) -> TurnRef | None:
        if self.conversation_id is None:
            return None
        return await under_way(self.live, self.principal, self.conversation_id)

    async def _history(self, turn: TurnRef | None) -> list[Message]:
        if self.conversation_id is None:
            return []
        up_to = None if turn is None else turn.id
        return await history(self.live, self.principal, self.conversation_id, up_to)

    async def _end_of(self, turn: TurnRef) -> BaseEvent | None:
        """How a turn has ended; None if it was deleted."""
        async with self.live.database.transaction(self.principal) as connection:
            found = await store.events.find_turn(connection, self.principal, turn.id)
        if found is None or found[1].finished_at is None:
            return None
        last = store.events.last_of(*found)
        return next(iter(self._telling().tell(json.loads(last.data))), None)


def _encoded(event: BaseEvent) -> bytes:
    return _ENCODER.encode(event).encode()

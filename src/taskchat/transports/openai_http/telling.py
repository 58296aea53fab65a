"""A response as it is told: whole once it is over, as it stands, or while it happens."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from typing import Any

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.responses import Response

from taskchat.errors import ServiceError, ShuttingDown, TurnInProgress
from taskchat.transports.dependencies import LiveDeps
from taskchat.transports.openai_http.dialogue import Dialogue, Spoken, no_response
from taskchat.transports.openai_http.ids import ResponseId
from taskchat.transports.openai_http.narration import Narrator, Told
from taskchat.transports.reading import turn_events
from taskchat.transports.sse import stream_content, streamed
from taskchat.turns import store
from taskchat.turns.outcome import stored_failure
from taskchat.turns.schemas import ErrorBody
from taskchat.turns.states import TurnRef
from taskchat.turns.turn import ended_turn

DONE = b"data: [DONE]\n\n"
"""What clients of both interfaces take for the end of a stream."""


STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "content": stream_content(
            "those that OpenAI's clients read, with `stream`: docs/openai.md lists them. The last "
            "is `[DONE]`."
        )
    }
}
"""What OpenAPI says of a stream."""


async def narrator_of(live: LiveDeps, turn: TurnRef, part: int) -> Narrator:
    """Somebody who tells a part of a turn, and has heard nothing yet."""
    async with live.database.transaction(turn.principal) as connection:
        before = await store.following.followed(connection, turn)
    previous = None if before is None else str(ResponseId(before.id, before.answered + 1))
    return Narrator(turn, part, previous)


async def narrated(
    live: LiveDeps, narrator: Narrator, turn: TurnRef, *, is_over: bool
) -> AsyncGenerator[list[Told], None]:
    """What a narrator tells of a turn from its beginning on; empty after each silence.

    Args:
        live: Where the turn's events are.
        narrator: Tells them.
        turn: The turn.
        is_over: Whether to stop at what there is.

    Raises:
        NotFound: the turn was deleted.
        DatabaseError: its events can't be read at the moment.
        ShuttingDown: this process stops passing events on.
    """
    events = turn_events(live, turn, after=0, is_over=is_over)
    async with contextlib.aclosing(events):
        async for batch in events:
            told = [told for event in batch for told in narrator.hear(event)]
            if told or not batch:
                yield told
            if narrator.is_over:
                return
    if not is_over and not narrator.is_over:
        raise ShuttingDown(retry_after_s=1)


async def as_it_stands(live: LiveDeps, turn: TurnRef, part: int) -> Narrator:
    """A part of a turn, as far as it is.

    Raises:
        NotFound: the turn has no such part.
    """
    narrator = await narrator_of(live, turn, part)
    async for _ in narrated(live, narrator, turn, is_over=True):
        pass
    if narrator.response is None:
        raise no_response("response_id")
    return narrator


async def once_over(dialogue: Dialogue, spoken: Spoken) -> Narrator:
    """What was said, once it is answered.

    Raises:
        ServiceError: it ended otherwise, or the wait ran out and it goes on.
    """
    live, turn = dialogue.live, spoken.turn
    try:
        if spoken.accepted is not None:
            await ended_turn(spoken.accepted, live.turns)
            narrator = await as_it_stands(live, turn, spoken.part)
        else:
            narrator = await _gone_on(live, turn, spoken.part)
        if narrator.failure is not None:
            failed = narrator.failure
            raise stored_failure(
                ErrorBody(
                    error_code=failed.error_code,
                    error=failed.error,
                    conversation_id=turn.conversation_id,
                    turn_id=turn.id,
                    request_id=failed.request_id,
                    details=failed.details,
                ).model_dump_json()
            )
    except ServiceError as error:
        raise dialogue.about(error, spoken) from error.__cause__
    return narrator


async def _gone_on(live: LiveDeps, turn: TurnRef, part: int) -> Narrator:
    narrator = await narrator_of(live, turn, part)
    settings = live.settings
    try:
        # As long as a frozen owner's time takes to run out, and the run itself.
        async with asyncio.timeout(
            settings.run_timeout_s + settings.lease_s + settings.lease_grace_s
        ):
            async for _ in narrated(live, narrator, turn, is_over=False):
                pass
    except TimeoutError:
        raise TurnInProgress(retry_after_s=5) from None
    return narrator


Encode = Callable[[Sequence[Told]], Iterator[bytes]]
"""What is told, as it is sent."""


def stream(
    live: LiveDeps,
    narrator: Narrator,
    turn: TurnRef,
    *,
    encode: Encode,
    encode_error: Callable[[ServiceError], bytes],
    headers: dict[str, str],
) -> Response:
    """A response as a stream: from its beginning to its end, then `[DONE]`."""
    batches = narrated(live, narrator, turn, is_over=False)
    return streamed(_lines(batches, encode), headers, why=encode_error, last=DONE)


async def _lines(
    batches: AsyncGenerator[list[Told], None], encode: Encode
) -> AsyncGenerator[bytes, None]:
    # No `id` and no `retry`: behind either of them OpenAI's clients take a comment for an event.
    async with contextlib.aclosing(batches):
        async for batch in batches:
            if not batch:
                yield KEEPALIVE_COMMENT
            for line in encode(batch):
                yield line


def sent(told: Told) -> bytes:
    """An event of a response as it is sent."""
    return format_sse_event(data_str=told.json(), event=told.type)

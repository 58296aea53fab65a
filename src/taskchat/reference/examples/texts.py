"""Answers and bodies that are text of another kind than JSON: streams, exports, metrics."""

import json
from typing import Any, Final

from taskchat.http.requests import JSON
from taskchat.portability.documents import JSON_LINES, Format, writer
from taskchat.portability.lines import (
    Called,
    ConversationLine,
    EndLine,
    ExportLine,
    Line,
    Said,
    TaskLine,
    TurnLine,
    Used,
)
from taskchat.reference.examples.around import TASK
from taskchat.reference.examples.events import TOLD
from taskchat.reference.examples.openai import COMPLETION_STREAM, RESPONSE_STREAM
from taskchat.reference.examples.story import (
    BEGAN,
    CALL,
    CONVERSATION,
    MESSAGE,
    REPLIED,
    REPLY,
    SAID,
    TURN,
    after,
)
from taskchat.reference.examples.turns import CALLED, USAGE
from taskchat.reference.examples.ui import streamed
from taskchat.transports.durable_streams import offset_of
from taskchat.transports.sse import EVENT_STREAM

EXPORTED: Final[tuple[Line, ...]] = (
    ExportLine(scope="user", exported_at=after(hours=4)),
    ConversationLine(
        id=CONVERSATION,
        origin=CONVERSATION,
        title="Groceries",
        status="active",
        turn_count=1,
        summary=None,
        summary_turn=0,
        created_at=BEGAN,
        updated_at=after(seconds=2.1),
    ),
    TurnLine(
        id=TURN,
        conversation_id=CONVERSATION,
        number=1,
        channel="rest",
        status="completed",
        message=Said(id=MESSAGE, content=SAID, created_at=BEGAN),
        tool_calls=[
            Called(
                **CALLED.model_dump(exclude={"duration_ms"}),
                call_id="call_7Jm2",
                duration_ms=12,
            )
        ],
        reply=Said(id=REPLY, content=REPLIED, created_at=after(seconds=2.1)),
        error=None,
        model="gpt-5.6-luna",
        usage=Used(**USAGE.model_dump()),
        model_calls=[],
        created_at=BEGAN,
        started_at=after(seconds=0.1),
        finished_at=after(seconds=2.1),
    ),
    TaskLine(**TASK.model_dump(), origin=CALL),
    EndLine(lines=4),
)
"""The lines of a small export."""


def exported(form: Format) -> str:
    """The same as a document."""
    return "".join(map(writer(form), EXPORTED))


METRICS: Final = """\
# HELP taskchat_turns_running Turns that this process runs.
# TYPE taskchat_turns_running gauge
taskchat_turns_running 3.0
"""

FIRST: Final = [event.model_dump(mode="json") for event in TOLD[:2]]
"""The first events of a turn."""

STREAM: Final = (
    f"event: data\ndata:{json.dumps(FIRST)}\n\n"
    f'event: control\ndata:{{"streamNextOffset":"{offset_of(2)}","streamCursor":"3363072",'
    '"upToDate":true}\n\n'
)
"""The same as Durable Streams clients read them."""

AG_UI_RUN: Final = "".join(
    f"data: {json.dumps(event)}\n\n"
    for event in (
        {"type": "RUN_STARTED", "threadId": "groceries", "runId": "run-1"},
        {"type": "TOOL_CALL_START", "toolCallId": str(CALL), "toolCallName": "add_task"},
    )
)
"""How a run begins for AG-UI clients."""

TEXTS: Final[dict[str, dict[str, Any]]] = {
    "/metrics": {"text/plain": METRICS},
    "/ui/chat": {EVENT_STREAM: streamed()},
    "/ui/chat/{chat_id}/stream": {EVENT_STREAM: streamed()},
    "/import": {JSON_LINES: exported("jsonl"), "application/jsonl": exported("jsonl")},
    "/ag-ui": {EVENT_STREAM: AG_UI_RUN},
    "/turns/{turn_id}/stream": {JSON: FIRST, EVENT_STREAM: STREAM},
    "/export": {
        JSON: json.loads(exported("json")),
        JSON_LINES: exported("jsonl"),
        "text/markdown": exported("markdown"),
    },
    "/v1/responses": {EVENT_STREAM: RESPONSE_STREAM},
    "/v1/responses/{response_id}": {EVENT_STREAM: RESPONSE_STREAM},
    "/v1/chat/completions": {EVENT_STREAM: COMPLETION_STREAM},
}
"""By how an address ends, and by media type."""

"""What clients of the AI SDK send and get."""

from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import to_json

from taskchat.reference.examples.events import TOLD
from taskchat.reference.examples.story import (
    ASKING_CALL,
    ASKING_TURN,
    CALL,
    CONVERSATION,
    MESSAGE,
    REPLIED,
    REQUEST,
    SAID,
    TURN,
)
from taskchat.reference.examples.turns import ASKED, USAGE
from taskchat.transports.ui.chunks import Encoder
from taskchat.transports.ui.schemas import (
    AnsweredMessage,
    AnsweredPart,
    Approval,
    SendRequest,
    SentApproval,
    SentMessage,
    SentPart,
    SteeringPart,
    StepStartPart,
    TextPart,
    ToolPart,
    UIError,
    UIMessage,
    UIMetadata,
)
from taskchat.turns.events import StoredEvent

CHAT: Final = "a chat of mine"
SENT: Final = "bBbvUFm3Xm2Zb1mJ"

_TEXT: Final = {"type": "text", "text": SAID}
_SENT: Final = {"id": SENT, "role": "user", "parts": [_TEXT]}
_APPROVED: Final = {"id": str(ASKING_CALL), "approved": True}
_ANSWERED: Final = {
    "type": "tool-delete_task",
    "toolCallId": str(ASKING_CALL),
    "approval": _APPROVED,
}
_METADATA: Final = {
    "conversation_id": str(CONVERSATION),
    "turn_id": str(TURN),
    "message_id": str(MESSAGE),
    "created_at": "2026-11-21T09:30:00Z",
    "status": "completed",
    "versions": [],
    "model": "gpt-5.6-luna",
    "usage": USAGE.model_dump(),
}
_TOOL: Final = {
    "type": "tool-add_task",
    "toolCallId": str(CALL),
    "state": "output-available",
    "input": {"title": "Buy groceries"},
    "providerExecuted": True,
    "output": {"task_id": 1, "status": "created", "title": "Buy groceries"},
}

UI: Final[dict[type[BaseModel], dict[str, Any]]] = {
    SentPart: _TEXT,
    SentMessage: _SENT,
    SentApproval: _APPROVED,
    AnsweredPart: _ANSWERED,
    AnsweredMessage: {"id": str(ASKING_TURN), "role": "assistant", "parts": [_ANSWERED]},
    SendRequest: {"id": CHAT, "trigger": "submit-message", "messages": [_SENT]},
    StepStartPart: {"type": "step-start"},
    TextPart: {"type": "text", "text": REPLIED},
    SteeringPart: {
        "type": "steering-message",
        "id": str(MESSAGE),
        "parts": [{"type": "text", "text": "and oat milk"}],
    },
    Approval: {"id": str(ASKING_CALL), "requestReason": ASKED.question},
    ToolPart: _TOOL,
    UIError: {
        "error_code": "model_error",
        "error": "The language model could not answer. Your message is kept; send another to try "
        "again.",
        "request_id": REQUEST,
    },
    UIMetadata: _METADATA,
    UIMessage: {
        "id": str(TURN),
        "role": "assistant",
        "metadata": _METADATA,
        "parts": [
            {"type": "step-start"},
            _TOOL,
            {"type": "step-start"},
            {"type": "text", "text": REPLIED},
        ],
    },
}
"""Of each schema, one."""


def streamed() -> str:
    """The story's turn as a UI message stream."""
    encoder = Encoder(TURN)
    chunks = [
        chunk
        for event in TOLD
        for chunk in encoder.encode(
            StoredEvent(event.turn_id, 1, event.seq, event.type, event.model_dump_json())
        )
    ]
    told = [*(to_json(chunk).decode() for chunk in chunks), "[DONE]"]
    return "".join(f"data: {one}\n\n" for one in told)

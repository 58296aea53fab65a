"""A turn as its events tell it, and what goes back and forth on a socket."""

from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel

from taskchat.reference.examples.around import LEVEL
from taskchat.reference.examples.story import (
    ASKING_CALL,
    ASKING_TURN,
    CALL,
    CONVERSATION,
    FEEDBACK,
    MESSAGE,
    REPLIED,
    REPLY,
    REQUEST,
    SAID,
    TURN,
    USER,
    after,
)
from taskchat.reference.examples.turns import ANSWER, ASKED, CHAT, QUESTION
from taskchat.transports.socket import frames
from taskchat.transports.sse import encoded
from taskchat.turns import events
from taskchat.turns.events import EventBase, StoredEvent


def _of_turn(seq: int, turn: UUID = TURN) -> dict[str, Any]:
    return {
        "turn_id": turn,
        "conversation_id": CONVERSATION,
        "seq": seq,
        "timestamp": after(seconds=seq / 5),
    }


TOLD: Final[tuple[EventBase, ...]] = (
    events.TurnStarted(
        **_of_turn(1), number=1, channel="sse", message_id=MESSAGE, content=SAID, version_of=None
    ),
    events.AgentStatus(**_of_turn(2), status="thinking"),
    events.OpenAICall(**_of_turn(3), model="gpt-5.6-luna"),
    events.OpenAIResponse(
        **_of_turn(4),
        model="gpt-5.6-luna",
        prompt_tokens=540,
        completion_tokens=21,
        total_tokens=561,
        duration_ms=870,
    ),
    events.ToolCallEvent(
        **_of_turn(5), tool_call_id=CALL, tool_name="add_task", arguments={"title": "Buy groceries"}
    ),
    events.ToolResultEvent(
        **_of_turn(6),
        tool_call_id=CALL,
        tool_name="add_task",
        result={"task_id": 1, "status": "created", "title": "Buy groceries"},
        duration_ms=12,
        is_error=False,
    ),
    events.StreamStart(**_of_turn(7)),
    events.StreamChunk(**_of_turn(8), delta="Added “Buy "),
    events.StreamChunk(**_of_turn(9), delta="groceries”."),
    events.StreamEnd(**_of_turn(10)),
    events.AssistantReply(**_of_turn(11), message_id=REPLY, content=REPLIED),
    events.TurnCompleted(
        **_of_turn(12), result=CHAT.model_copy(update={"messages": [QUESTION, ANSWER]})
    ),
)
"""The events of a turn, shortened: one of each kind that it has."""

STREAM: Final = encoded(
    [StoredEvent(TURN, 1, event.seq, event.type, event.model_dump_json()) for event in TOLD]
).decode()
"""The same as a client reads it."""

WAITING: Final = events.WaitingCall(
    tool_call_id=ASKING_CALL,
    tool_name="delete_task",
    arguments={"task_id": 1},
    subject="Buy groceries",
)

OTHERS: Final[tuple[EventBase, ...]] = (
    events.Reasoning(**_of_turn(4), delta="They want it on the list."),
    events.UserMessage(**_of_turn(7), message_id=MESSAGE, content="and oat milk"),
    events.FeedbackRequest(
        **_of_turn(6, ASKING_TURN),
        feedback_id=FEEDBACK,
        expires_at=ASKED.expires_at,
        kind="approval",
        question=ASKED.question,
        choices=[],
        calls=[WAITING],
    ),
    events.FeedbackResponse(
        **_of_turn(7, ASKING_TURN),
        feedback_id=FEEDBACK,
        status="approved",
        answer="approve",
        comment=None,
    ),
    events.TurnFailed(
        **_of_turn(5),
        error_code="model_error",
        error="The language model could not answer. Your message is kept; send another to try "
        "again.",
        request_id=REQUEST,
        details=[],
    ),
)

FRAMES: Final[tuple[BaseModel, ...]] = (
    frames.SayMessage(type="message", content=SAID, id="1"),
    frames.StartSession(type="start_session"),
    frames.EndSession(type="end_session"),
    frames.Ping(type="ping", id="2"),
    frames.GetRateLimitStatus(type="get_rate_limit_status"),
    frames.Resume(type="resume", turn_id=TURN, after_seq=8),
    frames.Cancel(type="cancel", turn_id=TURN),
    frames.Steer(type="steer", turn_id=TURN, content="and oat milk"),
    frames.GiveFeedback(type="feedback_response", feedback_id=FEEDBACK, answer="approve"),
    frames.Connected(user_id=USER, conversation_id=CONVERSATION, unfinished_turns=[]),
    frames.Acknowledgment(turn_id=TURN, conversation_id=CONVERSATION, replayed=False, reply_to="1"),
    frames.Steered(steered=True, turn_id=TURN, message_id=MESSAGE, conversation_id=CONVERSATION),
    frames.SessionStarted(conversation_id=CONVERSATION),
    frames.SessionEnded(conversation_id=CONVERSATION),
    frames.Pong(reply_to="2"),
    frames.RateLimitStatus(limits=[LEVEL]),
    frames.RateLimitExceeded(
        error="30 messages a minute are allowed; send this one again in 2 seconds.", retry_after=2
    ),
    frames.SystemNotice(reconnect_after=1.5),
    frames.FrameError(
        code="INVALID_JSON", error="The frame is not valid JSON.", request_id=REQUEST
    ),
)

EXAMPLES: Final[tuple[BaseModel, ...]] = (*TOLD, WAITING, *OTHERS, *FRAMES)
"""Of each event and each frame, one."""

"""What is said on a WebSocket besides events: JSON text frames, told apart by `type`.

From the client, each with an optional `id` that answers echo as `reply_to`:

    message                content, idempotency_key?: say something in the conversation
    start_session          begin a conversation, or go on with a paused one
    end_session            take no more messages in it
    ping                   answered with pong
    get_rate_limit_status  answered with rate_limit_status
    resume                 turn_id, after_seq: send what followed, of this turn and of later ones
    cancel                 turn_id: stop a turn; what was done stays
    steer                  turn_id, content, idempotency_key?: say something to an unfinished turn
    feedback_response      feedback_id, answer, comment?, calls?: answer what the agent asked

From the server, besides every event of `taskchat.turns.events`:

    connection             status, user_id, conversation_id, unfinished_turns: the first frame
    acknowledgment         turn_id, conversation_id, replayed: the message is committed
    steered                steered, turn_id, message_id, conversation_id: a message to a turn is
                           committed; if the turn had ended, it began the one that is named
    session_started        conversation_id
    session_ended          conversation_id: told to all sockets of the conversation
    pong
    rate_limit_status      limits
    rate_limit_exceeded    retry_after, error: the message was not taken; the socket stays
    system                 action: shutdown, reconnect_after: connect again in so many seconds
    error                  code, error, request_id: a frame was refused
"""

import json
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from taskchat.feedback.schemas import FeedbackAnswer
from taskchat.http.ids import PlainUUID
from taskchat.http.requests import has_unique_keys
from taskchat.limits.schemas import RateLevelOut
from taskchat.texts import is_storable
from taskchat.turns.schemas import MessageText

ID_CHARS_MAX: Final = 64
"""The longest id that a client may give a frame; a UUID has 36 characters."""


class ClientFrame(BaseModel):
    """What every frame of a client may have."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Annotated[str, Field(max_length=ID_CHARS_MAX)] | None = Field(
        None, description="Echoed as reply_to by what answers this frame."
    )


FrameKey = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[\x20-\x7e]+$")]


class SayMessage(ClientFrame):
    """Say something in the conversation."""

    type: Literal["message"]
    content: MessageText
    idempotency_key: FrameKey | None = Field(
        None, description="The same key is the same turn, as the HTTP header has it."
    )


class StartSession(ClientFrame):
    """Begin a conversation, or go on with the socket's own."""

    type: Literal["start_session"]


class EndSession(ClientFrame):
    """Take no more messages in the conversation."""

    type: Literal["end_session"]


class Ping(ClientFrame):
    """Ask for a pong."""

    type: Literal["ping"]


class GetRateLimitStatus(ClientFrame):
    """Ask what is left of the rate limits."""

    type: Literal["get_rate_limit_status"]


class Resume(ClientFrame):
    """Ask for what followed an event: of its turn, and of all later ones."""

    type: Literal["resume"]
    turn_id: PlainUUID
    after_seq: Annotated[int, Field(ge=0, le=2**31 - 1)]


class Cancel(ClientFrame):
    """Stop a turn."""

    type: Literal["cancel"]
    turn_id: PlainUUID


class Steer(ClientFrame):
    """Say something to a turn while it is unfinished."""

    type: Literal["steer"]
    turn_id: PlainUUID
    content: MessageText
    idempotency_key: FrameKey | None = Field(
        None, description="The same key is the same message, as the HTTP header has it."
    )


class GiveFeedback(ClientFrame, FeedbackAnswer):
    """Answer what the agent asked: approve, reject, or a text."""

    type: Literal["feedback_response"]
    feedback_id: PlainUUID


AnyClientFrame = Annotated[
    SayMessage
    | StartSession
    | EndSession
    | Ping
    | GetRateLimitStatus
    | Resume
    | Cancel
    | Steer
    | GiveFeedback,
    Field(discriminator="type"),
]
CLIENT_FRAME: Final[TypeAdapter[AnyClientFrame]] = TypeAdapter(AnyClientFrame)


class ServerFrame(BaseModel):
    """What every frame of the server's own has."""

    type: str
    reply_to: str | None = None

    def text(self) -> str:
        """The frame as it is sent; without `reply_to` if it answers no frame."""
        return self.model_dump_json(exclude={"reply_to"} if self.reply_to is None else None)


class Connected(ServerFrame):
    """The first frame: who is connected, to what, and what is under way there."""

    type: Literal["connection"] = "connection"
    status: Literal["connected"] = "connected"
    user_id: str
    conversation_id: UUID | None
    unfinished_turns: list[UUID]


class Acknowledgment(ServerFrame):
    """A message or an answer is committed: whatever happens now, its turn will be seen through."""

    type: Literal["acknowledgment"] = "acknowledgment"
    turn_id: UUID
    conversation_id: UUID
    replayed: bool


class Steered(ServerFrame):
    """A message to a turn is committed."""

    type: Literal["steered"] = "steered"
    steered: bool = Field(description="Whether the turn reads it; if not, it began one of its own.")
    turn_id: UUID
    message_id: UUID
    conversation_id: UUID


class SessionStarted(ServerFrame):
    """The socket has a conversation now."""

    type: Literal["session_started"] = "session_started"
    conversation_id: UUID


class SessionEnded(ServerFrame):
    """The conversation takes no more messages."""

    type: Literal["session_ended"] = "session_ended"
    conversation_id: UUID


class Pong(ServerFrame):
    """The answer to a ping."""

    type: Literal["pong"] = "pong"


class RateLimitStatus(ServerFrame):
    """What is left of the rate limits."""

    type: Literal["rate_limit_status"] = "rate_limit_status"
    limits: list[RateLevelOut]


class RateLimitExceeded(ServerFrame):
    """A message was not taken."""

    type: Literal["rate_limit_exceeded"] = "rate_limit_exceeded"
    code: Literal["RATE_LIMITED"] = "RATE_LIMITED"
    error: str
    retry_after: int = Field(description="Seconds after which it will be.")


class SystemNotice(ServerFrame):
    """This process stops; another one goes on."""

    type: Literal["system"] = "system"
    action: Literal["shutdown"] = "shutdown"
    reconnect_after: float = Field(description="Seconds after which to connect again.")


class FrameError(ServerFrame):
    """A frame was refused, or could not be acted on."""

    type: Literal["error"] = "error"
    code: str = Field(description="INVALID_JSON, INVALID_MESSAGE, or an error_code in capitals.")
    error: str
    conversation_id: UUID | None = None
    turn_id: UUID | None = None
    request_id: str


class StreamError(BaseModel):
    """Why an event stream ends before its turn does. It has no id: reconnect with the last one."""

    type: Literal["error"] = "error"
    error_code: str
    error: str
    request_id: str


AnyServerFrame = Annotated[
    Connected
    | Acknowledgment
    | Steered
    | SessionStarted
    | SessionEnded
    | Pong
    | RateLimitStatus
    | RateLimitExceeded
    | SystemNotice
    | FrameError,
    Field(discriminator="type"),
]
SERVER_FRAME: Final[TypeAdapter[AnyServerFrame]] = TypeAdapter(AnyServerFrame)


class RefusedFrame(Exception):
    """A client's frame that is not valid.

    Attributes:
        code: INVALID_JSON or INVALID_MESSAGE.
        reply_to: The frame's id, if it could be read.
    """

    def __init__(self, code: str, sentence: str) -> None:
        self.code = code
        self.reply_to: str | None = None
        super().__init__(sentence)


def read_frame(text: str) -> AnyClientFrame:
    """Parse a client's frame; errors say what is wrong without repeating its values.

    Raises:
        RefusedFrame: not JSON, or not one of our frames.
    """
    try:
        frame = CLIENT_FRAME.validate_json(text)
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False, include_context=False)
        refused = _refusal(problems[0])
        refused.reply_to = id_in(text)
        raise refused from None
    except ValueError:
        raise RefusedFrame("INVALID_JSON", "The frame is not valid JSON.") from None
    if not has_unique_keys(text):
        raise RefusedFrame("INVALID_MESSAGE", "The frame has a key more than once.")
    return frame


def id_in(text: str) -> str | None:
    """The id of a refused frame, if it can be read."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    id_ = found.get("id") if isinstance(found, dict) else None
    return id_ if isinstance(id_, str) and len(id_) <= ID_CHARS_MAX and is_storable(id_) else None


def _refusal(problem: Any) -> RefusedFrame:
    kind = problem["type"]
    if kind == "json_invalid":
        return RefusedFrame("INVALID_JSON", "The frame is not valid JSON.")
    if kind in {"union_tag_invalid", "union_tag_not_found", "model_attributes_type", "dict_type"}:
        return RefusedFrame(
            "INVALID_MESSAGE",
            "The frame is a JSON object whose type is one of message, start_session, end_session, "
            "ping, get_rate_limit_status, resume, cancel, steer and feedback_response.",
        )
    if kind == "extra_forbidden":
        return RefusedFrame("INVALID_MESSAGE", "The frame has a key that is not part of it.")
    where = str(problem["loc"][-1]) if problem["loc"] else "frame"
    what = problem["msg"].removeprefix("Value error, ")
    return RefusedFrame("INVALID_MESSAGE", f"In {where}: {what[:1].lower()}{what[1:]}.")

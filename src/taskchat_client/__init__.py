"""A client of the taskchat service.

    async with taskchat_client.Client(url, token) as client:
        async for event in client.stream("Add task: Buy milk"):
            ...

It imports nothing of the service. Each message is taken once, and each event told once, whatever
becomes of the connection.
"""

from taskchat_client.client import Client
from taskchat_client.errors import (
    AwaitingFeedback,
    Conflict,
    ConnectionLost,
    Forbidden,
    InvalidAuth,
    InvalidRequest,
    NotFound,
    RateLimited,
    Refused,
    TaskchatError,
    TurnCancelled,
    TurnFailed,
    Unavailable,
    UnexpectedAnswer,
)
from taskchat_client.events import (
    AgentStatus,
    AssistantReply,
    ErrorEvent,
    Event,
    FeedbackRequest,
    FeedbackResponse,
    OpenAICall,
    OpenAIResponse,
    Reasoning,
    StreamChunk,
    StreamEnd,
    StreamStart,
    ToolCallStarted,
    ToolResult,
    TurnCompleted,
    TurnStarted,
    UserMessage,
)
from taskchat_client.models import (
    Answer,
    AskedCall,
    Conversation,
    Feedback,
    ListedTurn,
    Message,
    Rating,
    Steered,
    Task,
    ToolCall,
    Turn,
    Usage,
)
from taskchat_client.sync import SyncClient

__all__ = [
    "AgentStatus",
    "Answer",
    "AskedCall",
    "AssistantReply",
    "AwaitingFeedback",
    "Client",
    "Conflict",
    "ConnectionLost",
    "Conversation",
    "ErrorEvent",
    "Event",
    "Feedback",
    "FeedbackRequest",
    "FeedbackResponse",
    "Forbidden",
    "InvalidAuth",
    "InvalidRequest",
    "ListedTurn",
    "Message",
    "NotFound",
    "OpenAICall",
    "OpenAIResponse",
    "RateLimited",
    "Rating",
    "Reasoning",
    "Refused",
    "Steered",
    "StreamChunk",
    "StreamEnd",
    "StreamStart",
    "SyncClient",
    "Task",
    "TaskchatError",
    "ToolCall",
    "ToolCallStarted",
    "ToolResult",
    "Turn",
    "TurnCancelled",
    "TurnCompleted",
    "TurnFailed",
    "TurnStarted",
    "Unavailable",
    "UnexpectedAnswer",
    "Usage",
    "UserMessage",
]

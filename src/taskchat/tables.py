"""Every table in one place, for Alembic and for the test that holds model and migration together.

Importing this module fills `metadata`; nothing else should need it.
"""

from taskchat.accounts.models import Account, AccountSession, RefreshToken, SignInBucket
from taskchat.auth.models import SigningKey, User
from taskchat.conversations.models import Conversation, Message, ToolCall
from taskchat.embeddings.models import EmbeddingModel, MessageEmbedding
from taskchat.external_ids.models import ExternalIdRow
from taskchat.feedback.models import FeedbackRequest
from taskchat.housekeeping.models import ChoreRecord
from taskchat.limits.models import RateBucket
from taskchat.postgres.tables import metadata
from taskchat.presence.models import LiveConnection
from taskchat.processes.models import Process
from taskchat.ratings.models import Rating
from taskchat.schedules.models import Schedule
from taskchat.sharing.models import Share
from taskchat.tasks.models import Task
from taskchat.turns.models import ModelAnswer, Steering, Turn, TurnEvent, TurnTakeover
from taskchat.usage.models import ModelCall, UsageDay
from taskchat.webhooks.models import OperatorWebhook, Webhook, WebhookDelivery

__all__ = [
    "Account",
    "AccountSession",
    "ChoreRecord",
    "Conversation",
    "EmbeddingModel",
    "ExternalIdRow",
    "FeedbackRequest",
    "LiveConnection",
    "Message",
    "MessageEmbedding",
    "ModelAnswer",
    "ModelCall",
    "OperatorWebhook",
    "Process",
    "RateBucket",
    "Rating",
    "RefreshToken",
    "Schedule",
    "Share",
    "SignInBucket",
    "SigningKey",
    "Steering",
    "Task",
    "ToolCall",
    "Turn",
    "TurnEvent",
    "TurnTakeover",
    "UsageDay",
    "User",
    "Webhook",
    "WebhookDelivery",
    "metadata",
]

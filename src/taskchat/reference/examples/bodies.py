"""What requests send: as clients write it, without what they may leave out."""

from typing import Any, Final

from pydantic import BaseModel

from taskchat.accounts.schemas import AccountDeletion, CredentialsIn, PasswordChange, RefreshIn
from taskchat.conversations.schemas import ConversationChange
from taskchat.reference.examples.story import ADDRESS, PASSWORD, REFRESH_TOKEN
from taskchat.schedules.schemas import ScheduleChange
from taskchat.sharing.schemas import NewShare
from taskchat.tasks.schemas import NewTask, TaskChange
from taskchat.turns.schemas import SteerRequest
from taskchat.webhooks.schemas import NewWebhook, WebhookChange

BODIES: Final[dict[type[BaseModel], dict[str, Any]]] = {
    CredentialsIn: {"email": ADDRESS, "password": PASSWORD},
    RefreshIn: {"refresh_token": REFRESH_TOKEN},
    PasswordChange: {"current_password": PASSWORD, "new_password": "another one, longer still"},
    AccountDeletion: {"password": PASSWORD},
    SteerRequest: {"message": "and oat milk"},
    ConversationChange: {"title": "Groceries", "archived": False},
    NewShare: {"expires_in_h": 24, "with_tool_calls": True},
    ScheduleChange: {"status": "paused"},
    NewTask: {"title": "Buy groceries", "description": "Milk, bread, apples"},
    TaskChange: {"completed": True},
    NewWebhook: {
        "url": "https://hooks.example.org/taskchat",
        "events": ["turn.completed", "turn.failed"],
    },
    WebhookChange: {"status": "active"},
}
"""Those whose schema has no example of its own."""

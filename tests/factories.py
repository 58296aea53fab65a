"""Users, tokens and scripted models."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from agents.testing import ScriptedModel, assistant_message, function_call
from sqlalchemy import text

from taskchat.assistant.models.asking import NamedModel
from taskchat.auth.issuing import issue_token
from taskchat.moments import new_id
from taskchat.postgres.database import Database
from taskchat.principal import Principal

JWT_SECRET = "a secret of the tests, of more than 32 bytes"

RATES = tuple(
    f"rate_{one}_per_minute" for one in ("user", "conversation", "channel", "tokens", "mcp")
)

UNLIMITED: dict[str, Any] = dict.fromkeys(
    (
        *RATES,
        "accounts_attempts_per_hour",
        "accounts_client_attempts_per_hour",
        "accounts_refreshes_per_hour",
    ),
    0,
)
"""Tests say more in a second than people in a minute; those of the limits set their own."""

LIMITED_FAR_OFF: dict[str, Any] = dict.fromkeys(RATES, 1_000_000)
"""For what counts what a turn asks: limits that are off would save some of it."""


@dataclass
class Person:
    """A user of the service, with a token."""

    user_id: str = field(default_factory=lambda: f"user-{new_id().hex}")

    @property
    def principal(self) -> Principal:
        return Principal(self.user_id)

    @property
    def headers(self) -> dict[str, str]:
        token = issue_token(self.user_id, secret=JWT_SECRET, ttl_s=600, issuer=None, audience=None)
        return {"Authorization": f"Bearer {token}"}

    @property
    def chat_path(self) -> str:
        return f"/api/{self.user_id}/chat"

    async def say(
        self,
        client: httpx.AsyncClient,
        message: str,
        *,
        conversation_id: str | None = None,
        key: str | None = None,
        **options: Any,
    ) -> httpx.Response:
        """POST one message."""
        headers = self.headers | ({"Idempotency-Key": key} if key else {})
        body = {"message": message, "conversation_id": conversation_id}
        return await client.post(self.chat_path, json=body, headers=headers, **options)


async def person_in(database: Database) -> Person:
    """A user whose row exists."""
    person = Person()
    async with database.transaction(person.principal) as connection:
        await connection.execute(
            text("INSERT INTO users (id) VALUES (:id)"), {"id": person.user_id}
        )
    return person


def scripted(*steps: Any) -> tuple[ScriptedModel, Sequence[NamedModel]]:
    """A model that answers as it is told, and the chain that consists of it."""
    model = ScriptedModel(list(steps))
    return model, [NamedModel("scripted", model)]


def calls_tool(name: str, arguments: dict[str, Any], *, call_id: str | None = None) -> Any:
    """One tool call of a step; a step is a list of them."""
    return function_call(name, arguments, call_id=call_id or f"call_{new_id().hex}")


def says(reply: str) -> Any:
    """One step of a script: a reply."""
    return [assistant_message(reply)]

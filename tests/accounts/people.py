"""People who register and sign in."""

from dataclasses import dataclass, field
from typing import Any

import httpx
from tests.conftest import RunningApp

from taskchat.housekeeping.chores import chores_of
from taskchat.moments import new_id

PASSWORD = "correct horse battery staple"


@dataclass
class Registered:
    """Somebody with an account, and what they were given last."""

    client: httpx.AsyncClient
    email: str
    tokens: dict[str, Any] = field(default_factory=dict)

    @property
    def user_id(self) -> str:
        return str(self.tokens["user_id"])

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens['access_token']}"}

    async def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Ask as who they are."""
        return await self.client.request(
            method, f"/api/auth/{path}", json=body, headers=self.headers
        )

    async def say(self, message: str) -> httpx.Response:
        return await self.client.post(
            f"/api/{self.user_id}/chat", json={"message": message}, headers=self.headers
        )


def an_email() -> str:
    return f"ann-{new_id().hex}@example.org"


async def post(client: httpx.AsyncClient, path: str, body: Any, **headers: str) -> httpx.Response:
    """Ask as nobody."""
    return await client.post(f"/api/auth/{path}", json=body, headers=headers)


async def registered(
    client: httpx.AsyncClient, *, email: str | None = None, password: str = PASSWORD
) -> Registered:
    """Somebody who has registered just now."""
    person = Registered(client, email or an_email())
    answer = await post(client, "register", {"email": person.email, "password": password})
    assert answer.status_code == 201, answer.text
    person.tokens = answer.json()
    return person


async def signed_in(person: Registered, *, password: str = PASSWORD, **headers: str) -> Registered:
    """The same person on another device."""
    answer = await post(
        person.client, "login", {"email": person.email, "password": password}, **headers
    )
    assert answer.status_code == 200, answer.text
    return Registered(person.client, person.email, answer.json())


async def kept_house(running: RunningApp) -> None:
    """All that housekeeping does, once."""
    for chore in chores_of(running.live.settings):
        async with running.live.database.spare_transaction() as connection:
            await chore.batch(connection, rows_max=1000)


async def refreshed(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await post(client, "refresh", {"refresh_token": token})

"""Secrets are in nothing that anybody reads: planted ones, searched for in all that is told."""

import base64
import contextlib
import dataclasses
import importlib
import json
import logging
import pkgutil
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import httpx
import websockets
from pydantic import BaseModel, SecretStr
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool
from tests.conftest import AppMaker, MakeDatabase
from tests.live.served import served
from tests.telemetry.test_logs import written

import taskchat as package
from taskchat.moments import new_id
from taskchat.postgres.connect import open_engine

OF_OPERATOR = {
    "database_url": "planted-password-of-the-database",
    "jwt_secret": "planted-secret-of-the-tokens-that-is-long-enough",
    "openai_api_key": "sk-planted-key-of-the-model",
    "embedding_api_key": "sk-planted-key-of-the-vectors",
    "accounts_secret": "planted-secret-of-the-accounts-that-is-long-enough",
    "webhook_secret": base64.b64encode(b"planted-secret-of-the-webhooks").decode(),
}
"""By setting: what is searched for of it."""

PASSWORDS = ("planted correct horse", "planted battery staple", "planted wrong horse")


class World(BaseHTTPRequestHandler):
    """Whatever the service talks to: it refuses everything, and says again what it was sent."""

    told: ClassVar[list[bytes]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path != "/hook":
            # A vendor and a collector; the address of a hook is told what it may know.
            self.told.append(body)
        key = self.headers.get("authorization", "")
        refusal = json.dumps({"error": {"message": f"Incorrect API key provided: {key}"}}).encode()
        self.send_response(200 if self.path == "/v1/traces" else 401)
        self.send_header("content-length", str(len(refusal)))
        self.end_headers()
        self.wfile.write(refusal)

    def log_message(self, format: str, *args: object) -> None:
        return


@contextlib.contextmanager
def a_world() -> Iterator[str]:
    World.told.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), World) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def clients_are_silent() -> Iterator[None]:
    """What the tests' own clients log is none of the service's lines."""
    levels = {name: logging.getLogger(name).level for name in ("httpx", "httpcore", "websockets")}
    for name in levels:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def configured(url: str, world: str) -> dict[str, Any]:
    """A service with every secret that there is, and as much to tell as there can be."""
    address = make_url(url).set(password=OF_OPERATOR["database_url"])
    return {name: SecretStr(secret) for name, secret in OF_OPERATOR.items()} | {
        "database_url": SecretStr(address.render_as_string(hide_password=False)),
        "webhook_secret": SecretStr(f"whsec_{OF_OPERATOR['webhook_secret']}"),
        "webhook_url": f"{world}/hook",
        "webhook_private_addresses": True,
        "webhook_interval_s": 0.1,
        "model": "gpt-planted,offline",
        "openai_base_url": f"{world}/v1",
        "embedding_model": "planted",
        "otlp_endpoint": world,
        "trace_content": True,
    }


class Visit:
    """One after another, all that has a secret in it; good and bad.

    Attributes:
        secrets: What came up on the way, by what it is.
        told: What was answered, but for what hands a secret out.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.secrets: dict[str, str] = {}
        self.told: list[str] = []

    async def ask(
        self,
        client: httpx.AsyncClient,
        method: str,
        path: str,
        *,
        gives: bool = False,
        **options: Any,
    ) -> Any:
        answer = await client.request(method, path, **options)
        assert answer.status_code < 500, answer.text
        if not gives:
            self.told.append(f"{answer.headers}{answer.text}")
        return answer.json() if answer.content[:1] in (b"{", b"[") else None

    async def make(self) -> None:
        async with httpx.AsyncClient(base_url=self.url, timeout=60) as client:
            await self._accounts(client)
            await self._links_and_hooks(client)
            await self._misplaced(client)
            for path in ("/metrics", "/readyz", "/openapi.json", "/llms.txt", "/"):
                answer = await client.get(path, headers={"Accept": "text/html, */*"})
                self.told.append(answer.text)

    async def _accounts(self, client: httpx.AsyncClient) -> None:
        first, second, wrong = PASSWORDS
        email = f"{new_id().hex}@example.org"
        credentials = {"email": email, "password": first}
        given = await self.ask(client, "POST", "/api/auth/register", json=credentials, gives=True)
        self.secrets["the first refresh token"] = given["refresh_token"]
        self.secrets["the first access token"] = given["access_token"]
        for body in ({"email": email, "password": wrong}, credentials | {wrong: wrong}):
            await self.ask(client, "POST", "/api/auth/login", json=body)
        refresh = {"refresh_token": given["refresh_token"]}
        given = await self.ask(client, "POST", "/api/auth/refresh", json=refresh, gives=True)
        self.secrets["the next refresh token"] = given["refresh_token"]
        self.secrets["the next access token"] = given["access_token"]
        self.user_id = given["user_id"]
        self.headers = {"Authorization": f"Bearer {given['access_token']}"}
        await self.ask(client, "POST", "/api/auth/refresh", json=refresh)
        change = {"current_password": first, "new_password": second}
        for _ in range(2):
            # The second time it is the wrong one.
            await self.ask(client, "POST", "/api/auth/password", json=change, headers=self.headers)

    async def _links_and_hooks(self, client: httpx.AsyncClient) -> None:
        mine, headers = f"/api/{self.user_id}", self.headers
        said = await self.ask(
            client, "POST", f"{mine}/chat", json={"message": "Add task: Milk"}, headers=headers
        )
        # The vendor refused the key, and said it again.
        assert said["model"] == "offline"
        shares = f"{mine}/conversations/{said['conversation_id']}/shares"
        made = await self.ask(client, "POST", shares, json={}, headers=headers, gives=True)
        self.secrets["a link's token"] = made["token"]
        await self.ask(client, "GET", f"/share/{made['token']}")
        await self.ask(client, "GET", f"/share/{made['token']}?limit=none")
        hook = await self.ask(
            client,
            "POST",
            f"{mine}/webhooks",
            json={"url": f"{self.url}/nowhere"},
            headers=headers,
            gives=True,
        )
        self.secrets["a webhook's secret"] = hook["secret"].removeprefix("whsec_")
        await self.ask(client, "POST", f"{mine}/tasks", json={"title": "Bread"}, headers=headers)
        for path in ("webhooks", "search?q=milk", "export", "usage"):
            await self.ask(client, "GET", f"{mine}/{path}", headers=headers)

    async def _misplaced(self, client: httpx.AsyncClient) -> None:
        """Bring them where they don't belong."""
        token = self.headers["Authorization"].removeprefix("Bearer ")
        mine = f"/api/{self.user_id}"
        for path in (f"{mine}/tasks?token={token}", f"/{token}", f"{mine}/tasks/{token}"):
            await self.ask(client, "GET", path, headers=self.headers)
            await self.ask(client, "GET", path)
        for body in (
            {"message": 7, token: PASSWORDS[0]},
            {"message": PASSWORDS, "password": token},
        ):
            await self.ask(client, "POST", f"{mine}/chat", json=body, headers=self.headers)
        for value in (f"Basic {token}", f"Bearer {token}x", f"{token}", f"Bearer {token} {token}"):
            await self.ask(client, "GET", f"{mine}/tasks", headers={"Authorization": value})
        await self.ask(client, "POST", "/mcp", json={token: token}, headers=self.headers)
        await self.ask(client, "POST", "/v1/responses", json={token: 1}, headers=self.headers)
        address = f"{self.url.replace('http', 'ws', 1)}/ws/chat"
        for query in (f"new?token={token}", f"new?token={token}x", f"{token}?token={token}"):
            async with websockets.connect(f"{address}/{query}") as one:
                with contextlib.suppress(websockets.ConnectionClosed):
                    await one.send(json.dumps({"type": token, "content": PASSWORDS[0]}))
                    self.told += [str(await one.recv()), str(await one.recv())]


async def everything_kept(url: str) -> str:
    """All rows of all tables."""
    engine = open_engine(url, poolclass=NullPool)
    async with engine.connect() as connection:
        tables = await connection.scalars(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        )
        each = [f"SELECT to_json(t)::text FROM {table} AS t" for table in tables.all()]
        rows = await connection.scalars(text(" UNION ALL ".join(each)))
        kept = "\n".join(rows.all())
    await engine.dispose()
    return kept


async def test_no_secret_is_in_anything_that_a_whole_run_tells_or_keeps(
    migrated_database: MakeDatabase, running_app: AppMaker
) -> None:
    async with migrated_database() as url:
        with a_world() as world, written(log_level="debug") as lines, clients_are_silent():
            async with running_app(**configured(url, world)) as running:
                async with served(running) as address:
                    visit = Visit(address)
                    await visit.make()
        kept = await everything_kept(url)
    told = {
        "the log": lines.getvalue(),
        "its answers": "\n".join(visit.told),
        "its traces, and its questions to a vendor": b"".join(World.told).decode("latin-1"),
        "the database": kept,
    }
    assert '"model.failed"' in told["the log"]
    assert '"webhook.failed"' in told["the log"]
    secrets = OF_OPERATOR | visit.secrets | dict(enumerated(PASSWORDS))
    assert len(secrets) >= 15
    found = [
        (name, where)
        for name, secret in secrets.items()
        for where, content in told.items()
        if secret in content
    ]
    assert found == []


def enumerated(values: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    return ((f"password {number}", value) for number, value in enumerate(values))


SECRET_NAME = re.compile(
    r"(^|_)(secrets?|password|private_key|api_key|token|(token|password)_hash)$|^hash$"
)

KINDS = ("str", "bytes")
"""Of fields that can hold one."""


def fields_of_ours() -> Iterator[tuple[str, str, bool]]:
    """Every field of every class of ours that is named like a secret: whether it shows itself."""
    for module in pkgutil.walk_packages(package.__path__, "taskchat."):
        if module.name in {"taskchat.main", "taskchat.__main__"}:
            continue
        for kind in vars(importlib.import_module(module.name)).values():
            if not isinstance(kind, type) or kind.__module__ != module.name:
                continue
            if issubclass(kind, BaseModel):
                shown = {
                    name: (str(field.annotation), field.repr)
                    for name, field in kind.model_fields.items()
                }
            elif dataclasses.is_dataclass(kind):
                fields = dataclasses.fields(kind)
                shown = {field.name: (str(field.type), field.repr) for field in fields}
            else:
                continue
            for name, (annotation, is_shown) in shown.items():
                can_hold = any(word in annotation for word in KINDS) and "Secret" not in annotation
                if SECRET_NAME.search(name) and can_hold:
                    yield kind.__qualname__, name, is_shown


def test_no_class_of_ours_shows_a_secret_in_its_repr() -> None:
    fields = list(fields_of_ours())
    assert len(fields) >= 12
    assert [(kind, name) for kind, name, is_shown in fields if is_shown] == []


def test_settings_show_no_secret(settings: Any) -> None:
    fields = type(settings).model_fields
    secret = {name for name in fields if SECRET_NAME.search(name) or name.endswith("_url")}
    held = {name for name in secret if "SecretStr" in str(fields[name].annotation)}
    assert held >= {"database_url", "jwt_secret", "openai_api_key", "accounts_secret"}
    filled = settings.model_copy(update={name: SecretStr("planted") for name in held})
    assert "planted" not in f"{filled!r} {filled} {filled.model_dump()} {filled.model_dump_json()}"

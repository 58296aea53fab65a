"""An app on a database of its own, where nobody sends but who is told to."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import NullPool
from tests.conftest import AppMaker, MakeDatabase, RunningApp, in_a_task_of_its_own
from tests.factories import Person
from tests.webhooks.receiver import Receiver, receiving

from taskchat.postgres.connect import open_engine
from taskchat.postgres.database import Database
from taskchat.settings import Settings
from taskchat.webhooks.posting import Resolver
from taskchat.webhooks.sending import Sender


@dataclass
class Place:
    """Where hooks are made and events happen."""

    running: RunningApp
    settings: Settings
    database: Database
    engine: AsyncEngine

    @property
    def client(self) -> httpx.AsyncClient:
        return self.running.client

    @contextlib.asynccontextmanager
    async def sender(
        self, *, resolve: Resolver | None = None, **changes: object
    ) -> AsyncIterator[Sender]:
        sender = Sender(self.database, self.settings.model_copy(update=changes), resolve=resolve)
        try:
            yield sender
        finally:
            await sender.close()

    async def send(self, *, resolve: Resolver | None = None, **changes: object) -> None:
        """Send all that is due, to its end."""
        async with asyncio.timeout(30), self.sender(resolve=resolve, **changes) as sender:
            await sender.work()

    async def sql(self, statement: str, **values: object) -> list[Any]:
        async with self.engine.begin() as connection:
            result = await connection.execute(text(statement), values)
            return list(result.all()) if result.returns_rows else []

    async def hook(self, person: Person, url: str, **wanted: object) -> dict[str, Any]:
        answer = await self.ask(person, "POST", "", json={"url": url, **wanted})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def ask(self, person: Person, method: str, path: str, **options: Any) -> httpx.Response:
        return await self.client.request(
            method, f"/api/{person.user_id}/webhooks{path}", headers=person.headers, **options
        )

    async def shown(self, person: Person, hook: dict[str, Any]) -> dict[str, Any]:
        shown: dict[str, Any] = (await self.ask(person, "GET", f"/{hook['id']}")).json()
        return shown

    async def deliveries(
        self, person: Person, hook: dict[str, Any], **query: str
    ) -> list[dict[str, Any]]:
        answer = await self.ask(person, "GET", f"/{hook['id']}/deliveries", params=query)
        assert answer.status_code == 200, answer.text
        data: list[dict[str, Any]] = answer.json()["data"]
        return data

    async def task(self, person: Person, method: str, path: str = "", **body: object) -> None:
        answer = await self.client.request(
            method,
            f"/api/{person.user_id}/tasks{path}",
            headers=person.headers,
            json=body or None,
        )
        assert answer.status_code < 300, answer.text

    async def retry_now(self, person: Person) -> None:
        """As if the time until the next attempt had passed."""
        await self.sql(
            "UPDATE webhook_deliveries SET next_at = now() WHERE user_id = :owner"
            " AND status = 'pending'",
            owner=person.user_id,
        )


@pytest.fixture(scope="session")
async def place(
    migrated_database: MakeDatabase, running_app: AppMaker, settings: Settings
) -> AsyncIterator[Place]:
    async with migrated_database() as url:
        changes: dict[str, object] = {
            "database_url": type(settings.database_url)(url),  # type: ignore[misc]
            "webhook_private_addresses": True,
            "offline_header": True,
            "webhook_interval_s": 3600,
            "webhook_timeout_s": 5,
        }
        own = settings.model_copy(update=changes)
        database = Database(url, own)
        engine = open_engine(url, poolclass=NullPool)
        async with in_a_task_of_its_own(running_app(**changes)) as running:
            yield Place(running, own, database, engine)
        await engine.dispose()
        await database.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


@pytest.fixture
async def tls_receiver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Receiver, str]]:
    """A receiver behind TLS, by a certificate of one name that is trusted; and the name."""
    name = "hooks.example.org"
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = tmp_path / "public.pem", tmp_path / "private.pem"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(public))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    async with receiving(tls=context) as receiver:
        yield receiver, name

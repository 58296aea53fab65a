"""An identity provider on a real socket, with real keys; it counts how often it is asked."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import AllowedPrivateKeys, get_default_algorithms

PRIVATE_KEYS: dict[str, AllowedPrivateKeys] = {
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
}


class Provider:
    """Signs tokens, and answers every request with `body` once `gate` is open."""

    def __init__(self) -> None:
        self.keys = PRIVATE_KEYS
        self.url = ""
        self.fetches = 0
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.status = "200 OK"
        self.headers = ""
        self.body = b'{"keys": []}'

    def public(self, algorithm: str, **members: Any) -> dict[str, Any]:
        """The key of an algorithm as Better Auth publishes it, without `alg` and `use`."""
        public_key = self.keys[algorithm].public_key()
        jwk = get_default_algorithms()[algorithm].to_jwk(public_key, as_dict=True)
        jwk.pop("key_ops", None)
        return {"kid": algorithm, **jwk, **members}

    def publish(self, *members: object) -> None:
        self.body = json.dumps({"keys": members}).encode()

    def token(self, algorithm: str, header: dict[str, Any] | None = None, **claims: Any) -> str:
        payload = {"sub": "ada", "exp": int(time.time()) + 60, **claims}
        headers = {"kid": algorithm} if header is None else header
        return jwt.encode(payload, self.keys[algorithm], algorithm, headers)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A client may leave at any moment, which is its right.
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            self.fetches += 1
            self.asked.set()
            await self.gate.wait()
            length = f"content-length: {len(self.body)}\r\nconnection: close\r\n"
            head = f"HTTP/1.1 {self.status}\r\n{length}{self.headers}\r\n"
            writer.write(head.encode() + self.body)
            await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@pytest.fixture
async def provider(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Provider]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    provider = Provider()
    async with await asyncio.start_server(provider.answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        provider.url = f"http://127.0.0.1:{port}/.well-known/jwks.json"
        yield provider
        provider.gate.set()

"""Signatures by the Standard Webhooks specification, version 1: HMAC-SHA256 with a shared secret.

Source: github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from taskchat.settings.webhook_secrets import PREFIX

SECRET_BYTES: Final = 32
"""As many as the hash has: more would add nothing."""


def new_secret() -> bytes:
    """A secret that nobody guesses."""
    return secrets.token_bytes(SECRET_BYTES)


def shown_secret(secret: bytes) -> str:
    """A secret as receivers' libraries take it."""
    return PREFIX + base64.b64encode(secret).decode()


def signed_headers(
    id_: str, sent_at: datetime, body: bytes, keys: Sequence[bytes]
) -> dict[str, str]:
    """The headers that say what a body is, when it was sent, and that it is ours.

    Args:
        id_: The same for every attempt.
        sent_at: When this attempt is made; receivers refuse what is old.
        body: What is sent.
        keys: One signature by each: a receiver that knows any of them is content.
    """
    seconds = int(sent_at.timestamp())
    signed = f"{id_}.{seconds}.".encode() + body
    signatures = (hmac.new(key, signed, hashlib.sha256).digest() for key in keys)
    return {
        "webhook-id": id_,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(
            f"v1,{base64.b64encode(signature).decode()}" for signature in signatures
        ),
    }

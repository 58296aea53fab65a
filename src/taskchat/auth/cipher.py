"""Private keys as they are stored: encrypted, if there is a secret to do it with."""

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from taskchat.auth.repository import StoredKey

NONCE_BYTES: Final = 12
"""Of AES-GCM; a random one for each key that is ever made is unique."""


class Cipher:
    """Encrypts private keys by AES-256-GCM; without a secret it leaves them as they are.

    Args:
        secret: What the encryption's own key is derived from, by HKDF.
    """

    def __init__(self, secret: str | None) -> None:
        self._aes = None
        if secret is not None:
            derive = HKDF(SHA256(), 32, salt=None, info=b"taskchat signing keys 1")
            self._aes = AESGCM(derive.derive(secret.encode()))

    def closed(self, key_id: str, private_key: bytes) -> tuple[bytes, bool]:
        """A private key as it is stored, and whether that is encrypted."""
        if self._aes is None:
            return private_key, False
        nonce = os.urandom(NONCE_BYTES)
        # Bound to its id, so that no row can be given another's key.
        return nonce + self._aes.encrypt(nonce, private_key, key_id.encode()), True

    def opened(self, key: StoredKey) -> bytes | None:
        """The private key; None if another secret encrypted it, or if it should have been."""
        if not key.encrypted:
            # Who sets a secret no longer trusts what lay open before.
            return key.private_key if self._aes is None else None
        if self._aes is None:
            return None
        nonce, text = key.private_key[:NONCE_BYTES], key.private_key[NONCE_BYTES:]
        try:
            return self._aes.decrypt(nonce, text, key.id.encode())
        except InvalidTag:
            return None

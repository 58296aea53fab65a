"""What `taskchat dev` keeps between runs, and other commands find again."""

import os
import secrets
from pathlib import Path
from typing import Final

from taskchat.settings import Settings

DEV_DATA_DIR: Final = Path(".taskchat")
"""Where `dev` keeps what must outlive it, unless it is told otherwise."""

SECRET_FILE: Final = "jwt-secret"  # noqa: S105 - a file's name


def local_secret(settings: Settings, data_dir: Path) -> str | None:
    """The secret that signs tokens here: the configured one, else that of `dev`; None: neither."""
    if settings.jwt_secret is not None:
        return settings.jwt_secret.get_secret_value()
    path = data_dir / SECRET_FILE
    return path.read_text(encoding="utf-8").strip() if path.exists() else None


def made_secret(data_dir: Path) -> str:
    """A new secret, kept where only this user can read it."""
    data_dir.mkdir(parents=True, exist_ok=True)
    secret = secrets.token_urlsafe(48)
    descriptor = os.open(data_dir / SECRET_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(secret)
    return secret

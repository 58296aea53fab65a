"""What `taskchat dev` keeps between runs, and other commands find again."""

import contextlib
import os
import secrets
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from taskchat.refusals import BadConfiguration
from taskchat.settings import JWT_SECRET_BYTES_MIN, Settings

DEV_DATA_DIR: Final = Path(".taskchat")
"""Where `dev` keeps what must outlive it, unless it is told otherwise."""

DEV_USER: Final = "demo"
"""The user that the ready token is for, and as whom the page is signed in."""

SECRET_FILE: Final = "jwt-secret"  # noqa: S105 - a file's name


class LocalSecretError(BadConfiguration):
    """The file holds no secret that can be used; the message names it and says what to do."""


def local_secret(settings: Settings, data_dir: Path) -> str | None:
    """The secret that signs tokens here: the configured one, else that of `dev`, else None.

    Raises:
        LocalSecretError: the file of `dev` holds something else.
        OSError: it can't be read.
    """
    if settings.jwt_secret is not None:
        return settings.jwt_secret.get_secret_value()
    path = data_dir / SECRET_FILE
    try:
        content = path.read_bytes().strip()
    except FileNotFoundError:
        return None
    # Empty counts as unset, as for every variable: a full disk leaves such a file.
    if not content:
        return None
    try:
        secret = content.decode()
    except UnicodeDecodeError:
        secret = ""
    if len(content) < JWT_SECRET_BYTES_MIN or not secret.isprintable() or not secret:
        raise LocalSecretError(
            f"{path} holds no secret: that is at least {JWT_SECRET_BYTES_MIN} bytes of text on one "
            "line; remove the file, and taskchat dev makes a new one"
        )
    return secret


def made_secret(settings: Settings, data_dir: Path) -> str:
    """Make a secret that only this user can read; its file is whole, or does not exist.

    Raises:
        LocalSecretError: as `local_secret`, about a file that another process made meanwhile.
        OSError: it can't be written.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(data_dir):
        known = local_secret(settings, data_dir)
        if known is not None:
            return known
        secret = secrets.token_urlsafe(48)
        descriptor, made = tempfile.mkstemp(prefix=f"{SECRET_FILE}.", dir=data_dir)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(secret)
                file.flush()
                os.fsync(descriptor)
            os.replace(made, data_dir / SECRET_FILE)
        finally:
            Path(made).unlink(missing_ok=True)
        return secret


@contextlib.contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """If two processes start at once, the second one finds what the first one made."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        # Some network shares can't lock.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

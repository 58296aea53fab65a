"""Starting a service, or joining the one that another process of the test run has started."""

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from taskchat_pytest.locks import ALIVE, GATE, LOG, READY, SECRET, USERS, locked
from taskchat_pytest.server import TaskchatServer

LOG_LINES: Final = 40
"""The end of the log that is shown; a traceback fits in."""

POLL_S: Final = 0.02
"""Wait between two looks for the service."""

ANSWER_S: Final = 10
"""How long a service that others have started may take to say that it is there."""

DEFAULTS: Final = {
    # Tests say more in a second than people in a minute.
    "TASKCHAT_RATE_USER_PER_MINUTE": "0",
    "TASKCHAT_RATE_CONVERSATION_PER_MINUTE": "0",
    "TASKCHAT_RATE_CHANNEL_PER_MINUTE": "0",
    "TASKCHAT_RATE_TOKENS_PER_MINUTE": "0",
    "TASKCHAT_RATE_MCP_PER_MINUTE": "0",
    "TASKCHAT_WEBSOCKET_FRAMES_PER_MINUTE": "0",
    "TASKCHAT_ACCOUNTS_ATTEMPTS_PER_HOUR": "0",
    "TASKCHAT_ACCOUNTS_CLIENT_ATTEMPTS_PER_HOUR": "0",
    "TASKCHAT_ACCOUNTS_REFRESHES_PER_HOUR": "0",
    # A script is a header.
    "TASKCHAT_HEADER_BYTES_MAX": "65536",
    "TASKCHAT_LOG_FORMAT": "console",
    "NO_COLOR": "1",
}
"""How the service differs from `taskchat dev`."""

OURS: Final = ("TASKCHAT_", "OPENAI_", "OTEL_", "DATABASE_URL")
"""Variables that configure a service: those of the developer's own must not reach that of tests."""


class NoService(Exception):
    """There is no service to test against; the message says why, and what to do."""


@contextlib.contextmanager
def started(
    folder: Path, settings: Mapping[str, str], *, start_s: float
) -> Iterator[TaskchatServer]:
    """A service of this test run; it ends with the last of the blocks of all processes.

    Args:
        folder: The same for all processes of the run, and for no others.
        settings: Variables that it gets besides.
        start_s: How long it may take to start.

    Raises:
        NoService: it does not start.
    """
    if sys.platform == "win32":
        raise NoService("Windows lacks what this needs; start a service, and give --taskchat-url.")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    keeper = None
    try:
        with locked(folder / USERS, shared=True):
            with locked(folder / GATE):
                secret = _secret(folder, settings)
                settings = {**DEFAULTS, **settings, "TASKCHAT_JWT_SECRET": secret}
                if not (folder / READY).exists():
                    keeper = _keeper(folder, settings)
                    _wait(folder, keeper, start_s)
            url = json.loads((folder / READY).read_text(encoding="utf-8"))["url"]
            yield _server(url, settings, folder)
    finally:
        # A test run leaves nothing behind: whoever leaves waits for the last one, and for the end.
        with locked(folder / ALIVE, shared=True):
            pass
        if keeper is not None:
            keeper.wait()


def found(url: str, settings: Mapping[str, str]) -> TaskchatServer:
    """A service that somebody else has started.

    Raises:
        NoService: it does not answer.
    """
    url = url.rstrip("/")
    try:
        if not url.startswith(("http://", "https://")):
            raise ValueError("that is no address of a service, which begins with http://")
        # The scheme has just been looked at.
        urllib.request.urlopen(f"{url}/readyz", timeout=ANSWER_S).close()  # noqa: S310
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise NoService(
            f"No taskchat is ready at {url}: {reason}. Start it, or leave --taskchat-url and "
            "taskchat_url out, so that the tests start one of their own."
        ) from None
    return _server(url, settings)


def end_of(log: Path | None) -> str:
    """The last lines of a log."""
    if log is None or not log.exists():
        return ""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-LOG_LINES:])


def _server(url: str, settings: Mapping[str, str], folder: Path | None = None) -> TaskchatServer:
    return TaskchatServer(
        url=url,
        secret=settings.get("TASKCHAT_JWT_SECRET"),
        issuer=settings.get("TASKCHAT_JWT_ISSUER"),
        audience=settings.get("TASKCHAT_JWT_AUDIENCE"),
        log=None if folder is None else folder / LOG,
    )


def _secret(folder: Path, settings: Mapping[str, str]) -> str:
    """The secret that signs tokens, made by the first process that starts a service."""
    if "TASKCHAT_JWT_SECRET" in settings:
        return settings["TASKCHAT_JWT_SECRET"]
    path = folder / SECRET
    if not path.exists():
        path.write_text(secrets.token_urlsafe(48), encoding="ascii")
    return path.read_text(encoding="ascii")


def _keeper(folder: Path, settings: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    # Its command is ours. In a session of its own, a Ctrl-C reaches pytest alone.
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "taskchat_pytest.keeper", str(folder)],
        cwd=folder,
        env={**inherited, **settings},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


def _wait(folder: Path, keeper: "subprocess.Popen[bytes]", start_s: float) -> None:
    """Wait until the service is ready."""
    deadline = time.monotonic() + start_s
    while not (folder / READY).exists():
        code = keeper.poll()
        if code is not None:
            raise _not_started(folder, f"taskchat ended with {code} before it served")
        if time.monotonic() > deadline:
            raise _not_started(
                folder, f"taskchat did not serve within {start_s:g} s; taskchat_start_s allows more"
            )
        time.sleep(POLL_S)


def _not_started(folder: Path, why: str) -> NoService:
    return NoService(
        f"{why}. Its settings are given by --taskchat-setting NAME=VALUE, or as taskchat_settings "
        f"in pytest's configuration. The end of its log, {folder / LOG}:\n\n{end_of(folder / LOG)}"
    )

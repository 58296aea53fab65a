"""`taskchat dev`: everything up to a running service, with nothing configured."""

import json
import os
import shlex
import socket
from pathlib import Path
from typing import Final

import click

from taskchat.auth.issuing import issue_token
from taskchat.auth.keys import check_keys
from taskchat.commands.asking import asked
from taskchat.commands.local import DEV_DATA_DIR, DEV_USER
from taskchat.commands.place import Place, without_accounts
from taskchat.commands.running import RunningDev, forget_running, note_running
from taskchat.postgres.migrations import upgrade
from taskchat.refusals import CannotStart
from taskchat.serving.listening import url_of
from taskchat.serving.server import run
from taskchat.settings import Settings
from taskchat.telemetry.console import say

DEV_TOKEN_TTL_S: Final = 7 * 86_400
"""A week: a window left open over a weekend still works."""


class DevServer:
    """A service for one developer, and what it tells them.

    Args:
        place: The configuration, the database and the secret.
        sock: Where it listens.
        data_dir: Where other commands find it.
        ready_file: A file to write once it serves.
    """

    def __init__(
        self, place: Place, sock: socket.socket, *, data_dir: Path, ready_file: Path | None
    ) -> None:
        self._place, self._sock = place, sock
        self._data_dir, self._ready_file = data_dir, ready_file
        self._url = url_of(sock)

    def run(self, *, reload: bool) -> None:
        """Migrate, serve, and return when stopped.

        Raises:
            CannotStart: the database can't be migrated, or does not let accounts be served.
        """
        settings = self._place.settings
        assert settings.direct_url is not None  # noqa: S101 - the place has a database
        upgrade(
            settings.direct_url.get_secret_value(),
            settings=settings,
            tell=lambda line: click.echo(line, err=True),
        )
        settings = self._settled_accounts(settings)
        try:
            run(settings, self._sock, reload=reload, announce=lambda _line: self._announce())
        finally:
            forget_running(self._data_dir)

    def _settled_accounts(self, settings: Settings) -> Settings:
        """Leave accounts out if this login can't serve them and nobody has asked for them.

        Raises:
            CannotStart: somebody has.
        """
        problem = asked(settings, check_keys) if settings.accounts else None
        if problem is None:
            return settings
        if self._place.accounts_asked:
            raise CannotStart(f"{problem}, or unset TASKCHAT_ACCOUNTS")
        return without_accounts(problem)

    def _announce(self) -> None:
        token = None
        if self._place.secret is not None:
            token = issue_token(
                DEV_USER,
                secret=self._place.secret,
                ttl_s=DEV_TOKEN_TTL_S,
                issuer=self._place.settings.jwt_issuer,
                audience=self._place.settings.jwt_audience,
            )
        note_running(self._data_dir, RunningDev(self._url, token, os.getpid()))
        if self._ready_file is not None:
            self._write_ready_file(self._ready_file, token)
        say(f"taskchat serves on {self._url}\n")
        if self._place.settings.page:
            say(f"The chat page: {self._url}/\n")
        if token is not None:
            say(f"In a terminal: {self._chat_command()}\n")
        if token is None:
            say("Tokens come from your identity provider (TASKCHAT_JWT_JWKS_URL).")
            return
        body = json.dumps({"message": "Add task: Buy groceries"})
        say(f"Token of the user “{DEV_USER}” for a week:\n{token}\n")
        say("Try it:")
        say(
            f"curl -s {self._url}/api/{DEV_USER}/chat"
            f" -H {shlex.quote(f'Authorization: Bearer {token}')}"
            f" -H 'Content-Type: application/json' -d {shlex.quote(body)}"
        )

    def _chat_command(self) -> str:
        if self._data_dir == DEV_DATA_DIR:
            return "taskchat chat"
        return f"taskchat chat --data-dir {shlex.quote(str(self._data_dir.absolute()))}"

    def _write_ready_file(self, path: Path, token: str | None) -> None:
        ready = {
            "url": self._url,
            "token": token,
            "user_id": DEV_USER,
            "database_url": self._place.database_url,
            "pid": os.getpid(),
        }
        # Whoever waits for the file must never find half of it.
        partial = path.with_name(f"{path.name}.partial")
        partial.write_text(json.dumps(ready), encoding="utf-8")
        partial.replace(path)

"""`taskchat dev`: everything up to a running service, with nothing configured."""

import json
import os
import shlex
import socket
from pathlib import Path
from typing import Final

import click

from taskchat.auth.tokens import issue_token
from taskchat.commands.local import DEV_DATA_DIR, local_secret, made_secret
from taskchat.postgres.embedded import ephemeral_data_dir, start_postgres
from taskchat.postgres.migrations import upgrade
from taskchat.serving.server import run, url_of
from taskchat.settings import Settings, load_settings
from taskchat.telemetry.console import say

DEV_USER: Final = "demo"
"""The user that the ready token is for."""

DEV_TOKEN_TTL_S: Final = 7 * 86_400
"""A week: a window left open over a weekend still works."""


class DevServer:
    """A service for one developer, and what it tells them.

    Args:
        settings: The configuration; what is missing from it is made here.
        sock: Where it listens.
        data_dir: Where the database and the secret are kept.
        ephemeral: Keep them in a folder that is removed at exit.
        ready_file: A file to write once it serves.
    """

    def __init__(
        self,
        settings: Settings,
        sock: socket.socket,
        *,
        data_dir: Path | None,
        ephemeral: bool,
        ready_file: Path | None,
    ) -> None:
        self._sock, self._url, self._ready_file = sock, url_of(sock), ready_file
        self._data_dir = ephemeral_data_dir() if ephemeral else data_dir or DEV_DATA_DIR
        secret = local_secret(settings, self._data_dir)
        if secret is None and settings.jwt_jwks_url is None:
            secret = made_secret(settings, self._data_dir)
        if settings.database_url is None:
            click.echo("Starting the embedded Postgres …", err=True)
            database_url = start_postgres(self._data_dir)
        else:
            database_url = settings.database_url.get_secret_value()
        # Through the environment, because a reloading server imports the app in another process.
        os.environ["DATABASE_URL"] = database_url
        if "offline_header" not in settings.model_fields_set:
            os.environ["TASKCHAT_OFFLINE_HEADER"] = "true"
        if secret is not None:
            os.environ["TASKCHAT_JWT_SECRET"] = secret
        self._settings = load_settings()
        self._database_url = database_url
        self._secret = secret

    def run(self, *, reload: bool) -> None:
        """Migrate, serve, and return when stopped."""
        direct_url = self._settings.direct_url
        assert direct_url is not None  # noqa: S101 - set in __init__
        upgrade(
            direct_url.get_secret_value(),
            settings=self._settings,
            tell=lambda line: click.echo(line, err=True),
        )
        run(self._settings, self._sock, reload=reload, announce=lambda _line: self._announce())

    def _announce(self) -> None:
        token = None
        if self._secret is not None:
            token = issue_token(
                DEV_USER,
                secret=self._secret,
                ttl_s=DEV_TOKEN_TTL_S,
                issuer=self._settings.jwt_issuer,
                audience=self._settings.jwt_audience,
            )
        if self._ready_file is not None:
            self._write_ready_file(self._ready_file, token)
        say(f"taskchat serves on {self._url}\n")
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

    def _write_ready_file(self, path: Path, token: str | None) -> None:
        ready = {
            "url": self._url,
            "token": token,
            "user_id": DEV_USER,
            "database_url": self._database_url,
            "pid": os.getpid(),
        }
        # Whoever waits for the file must never find half of it.
        partial = path.with_name(f"{path.name}.partial")
        partial.write_text(json.dumps(ready), encoding="utf-8")
        partial.replace(path)

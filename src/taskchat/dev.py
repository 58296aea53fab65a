"""`taskchat dev`: everything up to a running service, with nothing configured."""

import atexit
import json
import os
import secrets
import shlex
import shutil
import tempfile
from pathlib import Path
from typing import Final

import click
from uvicorn.supervisors import ChangeReload

from taskchat.app import create_app
from taskchat.auth.tokens import issue_token
from taskchat.embedded import start_postgres
from taskchat.migrations import upgrade
from taskchat.server import IMPORT_NAME, AnnouncingServer, config_for
from taskchat.settings import Settings

DEV_DATA_DIR: Final = Path(".taskchat")
"""Where `dev` keeps what must outlive it, unless it is told otherwise."""

SECRET_FILE: Final = "jwt-secret"  # noqa: S105 - a file's name

DEV_USER: Final = "demo"
"""Whose the ready token is."""

DEV_TOKEN_TTL_S: Final = 7 * 86_400
"""A week: a window left open over a weekend still works."""


def local_secret(settings: Settings, data_dir: Path) -> str | None:
    """The secret that signs tokens here: the configured one, else that of `dev`; None: neither."""
    if settings.jwt_secret is not None:
        return settings.jwt_secret.get_secret_value()
    path = data_dir / SECRET_FILE
    return path.read_text(encoding="utf-8").strip() if path.exists() else None


def _made_secret(data_dir: Path) -> str:
    data_dir.mkdir(parents=True, exist_ok=True)
    secret = secrets.token_urlsafe(48)
    descriptor = os.open(data_dir / SECRET_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(secret)
    return secret


class DevServer:
    """A service for one developer, and what it tells them.

    Args:
        settings: What is configured; what is not is made here.
        host: Address to bind.
        port: Port to bind; 0 picks one.
        data_dir: Where the database and the secret are kept.
        ephemeral: Keep them in a folder that is removed at exit.
        ready_file: Where to say that it serves.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        host: str,
        port: int,
        data_dir: Path | None,
        ephemeral: bool,
        ready_file: Path | None,
    ) -> None:
        self._host, self._port, self._ready_file = host, port, ready_file
        self._data_dir = data_dir or DEV_DATA_DIR
        if ephemeral:
            self._data_dir = Path(tempfile.mkdtemp(prefix="taskchat-"))
            atexit.register(shutil.rmtree, self._data_dir, ignore_errors=True)
        if settings.database_url is None:
            click.echo("Starting the embedded Postgres …", err=True)
            database_url = start_postgres(self._data_dir, remove_at_exit=ephemeral)
        else:
            database_url = settings.database_url.get_secret_value()
        secret = local_secret(settings, self._data_dir)
        if secret is None and settings.jwt_jwks_url is None:
            secret = _made_secret(self._data_dir)
        # By the environment, because a reloading server imports the app in another process.
        os.environ["DATABASE_URL"] = database_url
        if secret is not None:
            os.environ["TASKCHAT_JWT_SECRET"] = secret
        self._settings = Settings()
        self._database_url = database_url
        self._secret = secret

    def run(self, *, reload: bool) -> None:
        """Migrate, serve, and return when stopped."""
        direct_url = self._settings.direct_url
        assert direct_url is not None  # noqa: S101 - set in __init__
        upgrade(direct_url.get_secret_value())
        app = IMPORT_NAME if reload else create_app(self._settings)
        reload_dirs = [str(Path(__file__).parent)] if reload else None
        config = config_for(
            app,
            settings=self._settings,
            host=self._host,
            port=self._port,
            reload=reload,
            reload_dirs=reload_dirs,
        )
        sock = config.bind_socket()
        url = f"http://{self._host}:{sock.getsockname()[1]}"
        if reload:
            self._announce(url)
            ChangeReload(
                config, target=AnnouncingServer(config, lambda: None).run, sockets=[sock]
            ).run()
        else:
            AnnouncingServer(config, lambda: self._announce(url)).run(sockets=[sock])

    def _announce(self, url: str) -> None:
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
            self._write_ready_file(self._ready_file, url, token)
        click.echo(f"taskchat serves on {url}\n")
        if token is None:
            click.echo("Tokens come from your identity provider (TASKCHAT_JWT_JWKS_URL).")
            return
        body = json.dumps({"message": "Add task: Buy groceries"})
        click.echo(f"Token of the user “{DEV_USER}” for a week:\n{token}\n")
        click.echo("Try it:")
        click.echo(
            f"curl -s {url}/api/{DEV_USER}/chat"
            f" -H {shlex.quote(f'Authorization: Bearer {token}')}"
            f" -H 'Content-Type: application/json' -d {shlex.quote(body)}"
        )

    def _write_ready_file(self, path: Path, url: str, token: str | None) -> None:
        ready = {
            "url": url,
            "token": token,
            "user_id": DEV_USER,
            "database_url": self._database_url,
            "pid": os.getpid(),
        }
        # Whoever waits for the file must never find half of it.
        partial = path.with_name(f"{path.name}.partial")
        partial.write_text(json.dumps(ready), encoding="utf-8")
        partial.replace(path)

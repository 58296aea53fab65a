"""The commands. Machine output on stdout, logs on stderr.

Exit codes: 0 done, 1 failed or found something wrong, 2 wrong usage or configuration.
"""

import asyncio
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click
from pydantic import ValidationError
from uvicorn.supervisors import Multiprocess

from taskchat import contracts as contract_files
from taskchat.assistant.instructions import AgentConfigError
from taskchat.assistant.models import ModelConfigError
from taskchat.auth.tokens import issue_token
from taskchat.db import Database
from taskchat.dev import DEV_DATA_DIR, DevServer, local_secret
from taskchat.doctor import examine
from taskchat.durations import Duration
from taskchat.errors import DatabaseError
from taskchat.migrations import applied_revision, head, upgrade
from taskchat.server import IMPORT_NAME, AnnouncingServer, config_for
from taskchat.settings import Settings, variable_name
from taskchat.telemetry.logs import configure_logs

BAD_CONFIGURATION = 2


def _refuse(sentence: str, code: int = BAD_CONFIGURATION) -> NoReturn:
    click.echo(f"taskchat: {sentence}", err=True)
    sys.exit(code)


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        where = variable_name(str(problem["loc"][0])) if problem["loc"] else ""
        text = problem["msg"].removeprefix("Value error, ")
        _refuse(f"{where}: {text}" if where and where not in text else text)


def _exit_cleanly(_number: int, _frame: FrameType | None) -> None:
    # Uvicorn hands a signal on once it has stopped; the default would skip what runs at exit.
    sys.exit(0)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="taskchat")
def main() -> None:
    """A chat API for a to-do list, on Postgres alone."""


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to bind.")
@click.option("--port", default=8000, show_default=True, help="Port to bind; 0 picks one.")
@click.option("--reload", is_flag=True, help="Start anew whenever the code changes.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"Where the embedded Postgres and the secret are kept. [default: {DEV_DATA_DIR}]",
)
@click.option("--ephemeral", is_flag=True, help="A data folder that is removed at exit.")
@click.option(
    "--ready-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write url, token, user_id, database_url and pid here as JSON once it serves.",
)
def dev(
    host: str,
    port: int,
    reload: bool,
    data_dir: Path | None,
    ephemeral: bool,
    ready_file: Path | None,
) -> None:
    """Serve with nothing configured: embedded Postgres, offline model, a ready token."""
    if ephemeral and data_dir is not None:
        raise click.UsageError("--ephemeral makes its own folder; leave --data-dir out.")
    signal.signal(signal.SIGTERM, _exit_cleanly)
    settings = _settings()
    configure_logs(settings)
    try:
        DevServer(
            settings,
            host=host,
            port=port,
            data_dir=data_dir,
            ephemeral=ephemeral,
            ready_file=ready_file,
        ).run(reload=reload)
    except (AgentConfigError, ModelConfigError) as error:
        _refuse(str(error))


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to bind.")
@click.option("--port", default=8000, show_default=True, help="Port to bind.")
@click.option("--workers", default=1, show_default=True, help="Processes to serve with.")
def serve(host: str, port: int, workers: int) -> None:
    """Serve in production: DATABASE_URL and a JWT setting are needed."""
    settings = _settings()
    if settings.database_url is None:
        _refuse("set DATABASE_URL to the Postgres to use, as postgresql://user:password@host/name")
    if not settings.has_identity:
        _refuse("set TASKCHAT_JWT_SECRET or TASKCHAT_JWT_JWKS_URL, or no token can be verified")
    configure_logs(settings)
    signal.signal(signal.SIGTERM, _exit_cleanly)
    try:
        applied = asyncio.run(_applied(settings))
    except DatabaseError:
        # It may come up later; until then /readyz says so.
        applied = head()
    if applied != head():
        _refuse("the database lacks migrations; run taskchat migrate first", 1)
    if workers > 1:
        config = config_for(IMPORT_NAME, settings=settings, host=host, port=port, workers=workers)
        sock = config.bind_socket()
        Multiprocess(config, sockets=[sock]).run()
        return
    try:
        from taskchat.main import app
    except (AgentConfigError, ModelConfigError) as error:
        _refuse(str(error))
    config = config_for(app, settings=settings, host=host, port=port)
    sock = config.bind_socket()
    address, bound = sock.getsockname()[:2]
    AnnouncingServer(
        config, lambda: click.echo(f"taskchat serves on http://{address}:{bound}")
    ).run(sockets=[sock])


async def _applied(settings: Settings) -> str | None:
    assert settings.database_url is not None  # noqa: S101 - checked by the caller
    database = Database(settings.database_url.get_secret_value(), settings)
    try:
        return await applied_revision(database)
    finally:
        await database.close()


@main.command()
@click.option("--check", is_flag=True, help="Only say whether it is needed: exit 1 when behind.")
def migrate(check: bool) -> None:
    """Apply the migrations that the database lacks."""
    settings = _settings()
    if settings.database_url is None or settings.direct_url is None:
        _refuse("set DATABASE_URL to the Postgres to migrate")
    if not check:
        upgrade(settings.direct_url.get_secret_value())
        click.echo(f"at {head()}")
        return
    try:
        applied = asyncio.run(_applied(settings))
    except DatabaseError as error:
        _refuse(error.message, 1)
    click.echo(f"at {applied}, head is {head()}")
    if applied != head():
        sys.exit(1)


@main.command()
@click.argument("user_id")
@click.option(
    "--ttl", type=Duration(), default="1h", show_default=True, help="As 90s, 15m, 1h, 7d."
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEV_DATA_DIR,
    show_default=True,
    help="Of the dev server whose secret signs, where TASKCHAT_JWT_SECRET is unset.",
)
def token(user_id: str, ttl: int, data_dir: Path) -> None:
    """Print a signed token for USER_ID and nothing else."""
    settings = _settings()
    secret = local_secret(settings, data_dir)
    if secret is None:
        _refuse(
            "no signing secret here: set TASKCHAT_JWT_SECRET, or run taskchat dev once; tokens of "
            "an identity provider come from it alone"
        )
    click.echo(
        issue_token(
            user_id,
            secret=secret,
            ttl_s=ttl,
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
        )
    )


@main.command()
def doctor() -> None:
    """Check database, migrations, keys, model and clock."""
    findings = asyncio.run(examine(_settings()))
    for finding in findings:
        click.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.name:<11} {finding.text}")
    if not all(finding.ok for finding in findings):
        sys.exit(1)


@main.command()
@click.option("--check", is_flag=True, help="Only say whether they differ: exit 1 when they do.")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default="contracts",
    show_default=True,
    help="Where the files are.",
)
def contracts(check: bool, folder: Path) -> None:
    """Write contracts/*.json from the running code."""
    wanted = asyncio.run(contract_files.contracts())
    if not check:
        contract_files.write(folder, wanted)
        click.echo("\n".join(str(folder / name) for name in wanted))
        return
    differing = contract_files.differing(folder, wanted)
    if differing:
        _refuse(f"{', '.join(differing)}: out of date; run taskchat contracts", 1)

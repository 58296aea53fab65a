"""The commands. Machine output on stdout, logs on stderr.

Exit codes: 0 done, or a service that was told to stop; 1 failed or found something wrong; 2 wrong
usage or configuration; 128 and more, broken off by a signal: 130 is Ctrl-C.
"""

import asyncio
import contextlib
import errno
import io
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from taskchat import __version__
from taskchat.commands.asking import asked
from taskchat.commands.durations import Duration
from taskchat.commands.imports import imported_meanwhile
from taskchat.commands.local import DEV_DATA_DIR, local_secret
from taskchat.errors import DatabaseError, DatabaseRefused
from taskchat.refusals import CannotStart, refusal_of
from taskchat.serving.listening import listen
from taskchat.serving.memory import settle_memory
from taskchat.settings import Settings
from taskchat.settings.loading import load_settings
from taskchat.signals import BROKEN_OFF, end_on_signals, exit_code

# The SDKs behind the service take a second to import. `taskchat token` has no use for them, so
# that each command imports what it runs.
if TYPE_CHECKING:
    from taskchat.postgres.migrations import Schema

BAD_CONFIGURATION = 2

WORKERS_MAX = 256
"""More than one machine has processors for."""


class Commands(click.Group):
    """The commands, each of which says in one sentence why it can't do its work."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run one."""
        try:
            return super().invoke(ctx)
        except BaseException as error:
            code = exit_code()
            if code is not None:
                sys.exit(code)
            # A stdout that nobody reads any more is click's to handle.
            gone = isinstance(error, OSError) and error.errno == errno.EPIPE
            if isinstance(error, DatabaseError):
                _refuse(error.message, 1)
            if gone or not isinstance(error, CannotStart | OSError):
                raise
            refusal = refusal_of(error)
            _refuse(str(refusal), refusal.exit_code)


def _refuse(sentence: str, code: int = BAD_CONFIGURATION) -> NoReturn:
    # A folder's name may contain a line end.
    click.echo(f"taskchat: {' '.join(sentence.splitlines())}", err=True)
    sys.exit(code)


def _listen(host: str, port: int) -> socket.socket:
    try:
        return listen(host, port)
    # An invalid name fails before it is looked up.
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "that is no name of a host"
        reason = reason.partition(" (while")[0]
        _refuse(f"can't listen on {host}:{port}: {reason}; try another --port or --host", 1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """A chat API for a to-do list, on Postgres alone."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A letter that the terminal lacks must not cost the line.
            stream.reconfigure(errors="backslashreplace")


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to bind.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8000,
    show_default=True,
    help="Port to bind; 0 picks one.",
)
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
    if ready_file is not None:
        _check_ready_file(ready_file)
    settings = load_settings()
    from taskchat.commands.place import make_place
    from taskchat.postgres.embedded import ephemeral_data_dir

    end_on_signals(BROKEN_OFF)
    with _listen(host, port) as sock:
        # Postgres is a process of its own: it starts while this one imports.
        with imported_meanwhile("taskchat.commands.dev"):
            folder = ephemeral_data_dir() if ephemeral else data_dir or DEV_DATA_DIR
            place = make_place(settings, folder)
        _check_agent(place.settings)
        from taskchat.commands.dev import DevServer
        from taskchat.telemetry.logs import configure_logs

        configure_logs(settings)
        DevServer(place, sock, data_dir=folder, ready_file=ready_file).run(reload=reload)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to bind.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8000,
    show_default=True,
    help="Port to bind; 0 picks one.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, WORKERS_MAX),
    default=1,
    show_default=True,
    help="Processes to serve with.",
)
def serve(host: str, port: int, workers: int) -> None:
    """Serve in production: DATABASE_URL and a JWT setting are needed."""
    settings = load_settings()
    if settings.database_url is None:
        _refuse("set DATABASE_URL to the Postgres to use, as postgresql://user:password@host/name")
    if not settings.has_identity:
        _refuse(
            "set TASKCHAT_JWT_SECRET or TASKCHAT_JWT_JWKS_URL, or no token can be verified; or "
            "TASKCHAT_ACCOUNTS=true, so that people register here"
        )
    if settings.page_user is not None:
        _refuse("unset TASKCHAT_PAGE_USER, which is for taskchat dev: it signs in without asking")
    _check_agent(settings)
    from taskchat.serving.server import run
    from taskchat.telemetry.console import say
    from taskchat.telemetry.logs import configure_logs

    configure_logs(settings)
    # If the database is away, it may come up later; until then /readyz says so.
    with contextlib.suppress(DatabaseError):
        _check_schema(settings)
        if settings.accounts:
            _check_accounts(settings)
    with _listen(host, port) as sock:
        run(settings, sock, workers=workers, announce=say)


def _check_ready_file(path: Path) -> None:
    """Remove the file of an earlier run, which would mislead, and check that it can be written."""
    try:
        path.unlink(missing_ok=True)
        # Beside it: whoever waits for the file must not mistake an empty one for it.
        probe = path.with_name(f"{path.name}.partial")
        probe.touch()
        probe.unlink()
    except OSError as error:
        _refuse(f"--ready-file {path}: {error.strerror}")


def _check_agent(settings: Settings) -> None:
    from taskchat.assistant.instructions import load_agent_config
    from taskchat.assistant.models.names import model_names

    model_names(settings, load_agent_config(settings))


def _check_accounts(settings: Settings) -> None:
    """Exit if the database does not let accounts be served."""
    from taskchat.auth.keys import check_keys

    problem = asked(settings, check_keys)
    if problem is not None:
        _refuse(problem + (", or unset TASKCHAT_ACCOUNTS" if settings.accounts else ""), 1)


def _schema(settings: Settings) -> "Schema":
    """How the database's schema compares with this code; exits if it can't be read."""
    from taskchat.postgres.faults import FAULTS, reason_of
    from taskchat.postgres.migrations import schema_of

    try:
        return asked(settings, schema_of)
    except (*FAULTS, DatabaseRefused) as error:
        reason = reason_of(error.__cause__ or error)
        _refuse(f"the database refuses this login: {reason}; taskchat doctor says more", 1)


def _check_schema(settings: Settings) -> None:
    """Exit if the database's schema is not this code's."""
    schema = _schema(settings)
    if schema.problem is not None:
        _refuse(schema.problem, 1)


@main.command()
@click.option("--check", is_flag=True, help="Only say whether it is needed: exit 1 when behind.")
def migrate(check: bool) -> None:
    """Apply the migrations that the database lacks."""
    settings = load_settings()
    if settings.database_url is None or settings.direct_url is None:
        _refuse("set DATABASE_URL to the Postgres to migrate")
    from taskchat.postgres.migrations import head, upgrade

    if not check:
        upgrade(
            settings.direct_url.get_secret_value(),
            settings=settings,
            tell=lambda line: click.echo(line, err=True),
        )
        click.echo(f"at {head()}")
        return
    schema = _schema(settings)
    click.echo(f"at {schema.revision}, head is {head()}")
    if schema.problem is not None:
        _refuse(schema.problem, 1)


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
    settings = load_settings()
    secret = local_secret(settings, data_dir)
    if secret is None:
        _refuse(
            "no signing secret here: set TASKCHAT_JWT_SECRET, or run taskchat dev once; tokens of "
            "an identity provider come from it alone"
        )
    from taskchat.auth.issuing import issue_token

    try:
        printed = issue_token(
            user_id,
            secret=secret,
            ttl_s=ttl,
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
        )
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="USER_ID") from error
    click.echo(printed)


@main.command()
@click.argument("message", nargs=-1)
@click.option("--url", envvar="TASKCHAT_URL", help="Of the service. [env: TASKCHAT_URL]")
@click.option("--token", envvar="TASKCHAT_TOKEN", help="Who talks. [env: TASKCHAT_TOKEN]")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"Of the dev server to talk to, where no --url is given. [default: {DEV_DATA_DIR}]",
)
@click.option("--new", is_flag=True, help="Begin another conversation.")
@click.option("--json", "as_json", is_flag=True, help="Print every event as a line of JSON.")
def chat(
    message: tuple[str, ...],
    url: str | None,
    token: str | None,
    data_dir: Path | None,
    new: bool,
    as_json: bool,
) -> None:
    """Talk to a service from the terminal, or say MESSAGE and print the reply.

    Goes on with the conversation where it was. Type /help in it to see what else can be typed.
    Ctrl-C stops the turn that runs; twice, it leaves. Without a terminal, each line of stdin is a
    message, replies go to stdout, and everything else to stderr.

    Exit codes: 0 done; 1 a turn failed, or waits for an answer; 130 stopped by Ctrl-C.
    """
    from taskchat.commands.chat.chatting import chat as talk
    from taskchat.commands.chat.place import find_place

    said = " ".join(message)
    if message and not said.strip():
        raise click.UsageError("MESSAGE is empty.")
    place = find_place(url, token, data_dir)
    sys.exit(asyncio.run(talk(place, said or None, as_json=as_json, new=new)))


@main.command()
@click.option("--rotate", is_flag=True, help="Make another key; it signs ten minutes later.")
@click.option(
    "--now", is_flag=True, help="With --rotate: at once, and no token of any other key is good."
)
def keys(rotate: bool, now: bool) -> None:
    """List the keys that sign the tokens of accounts, or make another one."""
    settings = load_settings()
    if now and not rotate:
        raise click.UsageError("--now goes with --rotate.")
    if settings.database_url is None:
        _refuse("set DATABASE_URL to the Postgres of the service")
    from taskchat.auth.keys import KeyRing, describe
    from taskchat.postgres.database import Database
    from taskchat.telemetry.logs import configure_logs

    configure_logs(settings)

    async def work(database: Database) -> list[str]:
        if rotate:
            await KeyRing(database, settings).rotate(now=now)
        return await describe(database)

    _check_schema(settings)
    _check_accounts(settings)
    click.echo("\n".join(asked(settings, work)))


@main.command()
def doctor() -> None:
    """Check tokens, database, migrations, clock, chores and model."""
    from taskchat.commands.doctor import examine

    findings = asyncio.run(examine(load_settings()))
    for finding in findings:
        mark = "FAIL" if not finding.ok else "warn" if finding.warns else "ok"
        click.echo(f"{mark:<4}  {finding.name:<11} {finding.text}")
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
    from taskchat.commands import contracts as files

    wanted = asyncio.run(files.contracts())
    if not check:
        files.write(folder, wanted)
        click.echo("\n".join(str(folder / name) for name in wanted))
        return
    differing = files.differing(folder, wanted)
    if differing:
        _refuse(f"{', '.join(differing)}: out of date; run taskchat contracts", 1)


@main.command()
@click.option("--model", help="For a model that TASKCHAT_EMBEDDING_MODEL does not name yet.")
@click.option(
    "--forget", is_flag=True, help="Once all are made, delete the vectors of all other models."
)
def embed(model: str | None, forget: bool) -> None:
    """Make the vectors that messages lack, for searches by meaning.

    May run beside the service. Stopped and run again, it goes on where it was.
    """
    settings = load_settings(**({} if model is None else {"embedding_model": model}))
    if settings.database_url is None:
        _refuse("set DATABASE_URL to the Postgres whose messages are meant")
    if settings.embedding_model is None:
        _refuse("set TASKCHAT_EMBEDDING_MODEL, or name a --model")
    from taskchat.commands.embed import fill
    from taskchat.telemetry.logs import configure_logs

    end_on_signals(BROKEN_OFF)
    # The bar shows how far it is; the log would only get in its way.
    configure_logs(settings.model_copy(update={"log_level": "error"}))
    _check_schema(settings)
    outcome = asyncio.run(fill(settings, forget=forget))
    click.echo(outcome.text)
    if not outcome.done:
        sys.exit(1)


@main.command(name="eval")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--at-once", default=4, show_default=True, help="Cases that run beside each other.")
@click.option("--least", default=0.0, help="Exit 1 below this share of right cases, such as 0.97.")
def evaluate(file: Path, as_json: bool, at_once: int, least: float) -> None:
    """Run a file of phrasings against the configured model, and print the score.

    Each case is a conversation of a user of its own, through the whole service, on an embedded
    Postgres that is removed at the end.
    """
    from taskchat.commands.evaluation.cases import CasesError, read_cases
    from taskchat.commands.evaluation.report import as_data, as_text

    settings = load_settings()
    _check_agent(settings)
    try:
        cases = read_cases(file)
    except CasesError as error:
        _refuse(str(error))
    from taskchat.commands.evaluation.place import evaluated
    from taskchat.telemetry.logs import configure_logs

    settle_memory()
    end_on_signals(BROKEN_OFF)
    # The report shows every miss; the log would only get in its way.
    configure_logs(settings.model_copy(update={"log_level": "error"}))
    with click.progressbar(length=len(cases), label="Cases", file=sys.stderr) as bar:
        report = evaluated(cases, settings, at_once=at_once, progress=lambda _: bar.update(1))
    click.echo(as_data(report) if as_json else as_text(report))
    if report.intents["all"].share < least:
        sys.exit(1)

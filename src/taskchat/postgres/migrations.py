"""The schema's version: how it compares with this code, and applying what it lacks."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from asyncpg import InterfaceError, InternalClientError, PostgresError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from taskchat.postgres.database import APP_ROLE, READER_ROLE, SYSTEM_ROLE, Database
from taskchat.postgres.faults import is_transient
from taskchat.postgres.statements import Connection
from taskchat.refusals import CannotStart
from taskchat.resources import resource_path
from taskchat.settings import Settings

MIGRATION_LOCK: Final = 7_236_521_884
"""An arbitrary number that only migrations of this service lock, in every release."""

COMPARISON: Final[Mapping[str, bool]] = {"compare_type": True, "compare_server_default": True}
"""What counts as a difference between the models and a database, wherever the two are compared."""

BUSY: Final = frozenset({"55P03", "40P01"})
"""lock_not_available and deadlock_detected: the service was at work, and a repeat may succeed."""

_OF_THE_DRIVER: Final = (InterfaceError, InternalClientError)

_ROLE_UNKNOWN: Final = "22023"
"""How `set_config` reports a role that the server does not have."""

_UNREAD: Final = frozenset({_ROLE_UNKNOWN, "42501", "42P01", "42703"})
"""Why the version can't be read in the usual role: no such role, no right, no table, no column."""

_AGAIN: Final = "run taskchat migrate again, which goes on from there"
_TAKEN: Final = (
    "no revision of taskchat's accounts for that; point DATABASE_URL at a database of its own, or "
    "restore this one from a backup"
)
_BUSY: Final = f"end what holds it, or raise TASKCHAT_MIGRATION_ATTEMPTS, and {_AGAIN}"
_LOGIN: Final = "check the login in DATABASE_URL"
_MENDS: Final = {
    "55P03": _BUSY,
    "40P01": _BUSY,
    "57014": f"raise TASKCHAT_MIGRATION_STATEMENT_TIMEOUT_S, and {_AGAIN}",
    "42P07": _TAKEN,  # duplicate_table
    "42710": _TAKEN,  # duplicate_object
    "42501": "migrate as a login that owns the database and may create roles",
    "25006": "point TASKCHAT_DATABASE_DIRECT_URL at the server that takes writes",
    "3D000": "create it, or name another in DATABASE_URL",
    "28000": _LOGIN,
    "28P01": _LOGIN,
}
"""What helps against an error of the server, by SQLSTATE."""

_ROLES: Final = ", ".join((APP_ROLE, SYSTEM_ROLE, READER_ROLE))
_GRANT: Final = f"as the owner run GRANT {_ROLES} TO it"


class SchemaError(CannotStart):
    """The schema can't be brought to what this code needs; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Schema:
    """How a database's schema compares with this code.

    Attributes:
        standing: `behind` is what `migrate` fixes; `newer` is a revision that this code does not
            know; `unclear` is what somebody has to put right first.
        revision: The one that is applied; None if there is none, or more than one.
        problem: One sentence that says what to do; None if the two fit.
    """

    standing: Literal["fits", "behind", "newer", "unclear"]
    revision: str | None
    problem: str | None


def _config(url: str | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(resource_path("alembic")))
    config.attributes["url"] = url
    return config


def upgrade(
    url: str, *, settings: Settings | None = None, tell: Callable[[str], None] | None = None
) -> None:
    """Apply every migration that the database lacks, each in transactions of its own.

    Safe to run from several processes, to be killed at any moment and to be run again, and while
    the release before this one serves.

    Args:
        url: As `DATABASE_URL`; a login that may create tables and roles, not a pooler.
        settings: For the time limits; the environment's when left out.
        tell: Called with a line of progress before each migration, and during a wait.

    Raises:
        SchemaError: the database is away, refuses, or is not one to migrate.
    """
    config = _config(url)
    config.attributes["settings"] = settings
    config.attributes["tell"] = tell
    try:
        command.upgrade(config, "head")
    except (SQLAlchemyError, *_OF_THE_DRIVER, CommandError, OSError, ValueError) as error:
        raise SchemaError(_why(error)) from error


def _why(error: Exception) -> str:
    reason = getattr(error, "orig", None) or error
    # The driver puts its own class in front of what the server said.
    said = " ".join(str(reason.__cause__ or reason).split()) or type(reason).__name__
    mend = _MENDS.get(getattr(reason, "sqlstate", None) or "")
    away = isinstance(reason, (OSError, *_OF_THE_DRIVER)) or (
        isinstance(error, DBAPIError) and is_transient(error)
    )
    if mend is None and away:
        mend = f"check DATABASE_URL and the server, and {_AGAIN}"
    return f"the database can't be migrated: {said}" + (f"; {mend}" if mend else "")


@functools.cache
def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


@functools.cache
def head() -> str:
    """The revision that this code expects."""
    revision = _scripts().get_current_head()
    assert revision is not None  # noqa: S101 - the folder always holds one
    return revision


@functools.cache
def _known() -> frozenset[str]:
    return frozenset(script.revision for script in _scripts().walk_revisions())


async def schema_of(database: Database) -> Schema:
    """How the schema stands, as a process that serves sees it.

    Raises:
        DatabaseError: the database is away.
        PostgresError: it refuses the login.
    """
    try:
        async with database.system_transaction() as connection:
            revisions = await _revisions(connection)
            may_read = await connection.scalar(_MAY_ENTER, {"role": READER_ROLE})
    except PostgresError as error:
        refused = error.sqlstate
        if refused not in _UNREAD:
            raise
    else:
        if revisions:
            schema = _standing(revisions)
            if schema.standing == "fits" and not may_read:
                problem = f"this login may not act as {READER_ROLE}; {_GRANT}"
                return Schema("unclear", schema.revision, problem)
            return schema
        refused = None
    async with database.login_transaction() as connection:
        schema = await read_schema(connection)
    if schema.standing != "fits" or refused is None:
        return schema
    problem = f"this login may not act as {SYSTEM_ROLE}; {_GRANT}"
    if refused == _ROLE_UNKNOWN:
        problem = (
            f"the roles {_ROLES} are not on this server, as after a restore into another one; make "
            "them by CREATE ROLE … NOLOGIN and restore again"
        )
    return Schema("unclear", schema.revision, problem)


_MAY_ENTER: Final = text(
    "SELECT pg_has_role(session_user, oid, 'MEMBER') FROM pg_roles WHERE rolname = :role"
)
_LOOK: Final = text(
    "SELECT t.version IS NOT NULL AS versioned,"
    " has_table_privilege(t.version, 'SELECT') AS readable,"
    " EXISTS (SELECT FROM pg_attribute WHERE attrelid = t.version AND attname = 'version_num')"
    " AS ours,"
    # What an extension brought along is nobody's data.
    " ARRAY(SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = t.place"
    " AND c.relkind IN ('r', 'p') AND c.oid IS DISTINCT FROM t.version AND NOT EXISTS"
    " (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')"
    " ORDER BY 1 LIMIT 4) AS tables"
    " FROM (SELECT to_regclass('alembic_version')::oid AS version,"
    " to_regnamespace(quote_ident(current_schema()))::oid AS place) AS t"
)


async def read_schema(connection: AsyncConnection | Connection) -> Schema:
    """How the schema stands, as the login of this connection sees it.

    The result says what this login can't read, and names other tables if no revision is noted.
    """
    found = (await connection.execute(_LOOK)).one()
    if not found.versioned:
        return _standing((), others=found.tables)
    if not found.ours:
        return Schema(
            "unclear",
            None,
            "the database's table alembic_version is not taskchat's; point DATABASE_URL at a "
            "database of its own",
        )
    if not found.readable:
        return Schema(
            "unclear", None, f"this login may not read the table alembic_version; {_GRANT}"
        )
    return _standing(await _revisions(connection), others=found.tables)


async def _revisions(connection: AsyncConnection | Connection) -> Sequence[str]:
    found = await connection.scalars(text("SELECT version_num FROM alembic_version ORDER BY 1"))
    return [str(revision) for revision in found]


def _standing(revisions: Sequence[str], *, others: Sequence[str] = ()) -> Schema:
    if not revisions:
        if others:
            named = ", ".join(others[:3]) + ", …" * (len(others) > 3)
            return Schema(
                "behind",
                None,
                f"the database lacks migrations and has tables of something else ({named}); if it "
                "is the right one, run taskchat migrate first, which leaves those alone",
            )
        return Schema(
            "behind", None, "the database lacks migrations, all of them; run taskchat migrate first"
        )
    if len(revisions) > 1:
        return Schema(
            "unclear",
            None,
            f"the database's table alembic_version has several revisions ({', '.join(revisions)}) "
            "where one belongs; delete the false ones, or restore a backup",
        )
    [revision] = revisions
    if revision not in _known():
        return Schema(
            "newer",
            revision,
            f"the database is at revision {revision}, which this release does not know (it knows "
            f"them up to {head()}), so that its schema is newer, or another program's; run the "
            "release that made it, or restore a backup from before",
        )
    if revision != head():
        return Schema(
            "behind",
            revision,
            f"the database lacks migrations (it is at {revision}, this release needs {head()}); "
            "run taskchat migrate first",
        )
    return Schema("fits", revision, None)

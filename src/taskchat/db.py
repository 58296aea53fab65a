"""The database. `Database.transaction(principal)` is the only door to a user's rows.

A transaction is short, never spans a model call, and sees the rows of one principal: the role
it enters and the user it names bind it by row-level security, whoever logged in.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final, TypeAlias, cast

from asyncpg import InternalClientError
from sqlalchemy import MetaData, Row, Table, TextClause, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlmodel import SQLModel

from taskchat.errors import DatabaseError
from taskchat.line import Line, Precedence
from taskchat.moments import new_id
from taskchat.principal import Principal
from taskchat.settings import Settings

APP_ROLE: Final = "taskchat_app"
"""Role in which a principal's transactions run; row-level security shows it that user's rows."""

SYSTEM_ROLE: Final = "taskchat_system"
"""Role of what acts for nobody (sweeper, housekeeping); it has a few columns and no text."""

NAMING_CONVENTION: Final = {
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "pk": "%(table_name)s_pkey",
}
"""Postgres' own habits, so that a constraint has the same name however it was made."""

SQLModel.metadata.naming_convention = NAMING_CONVENTION
metadata: MetaData = SQLModel.metadata

CONNECT_TIMEOUT_S: Final = 5
"""A host that drops packets must not hold a request for TCP's two minutes."""

_ENTER: Final[TextClause] = text(
    "SELECT set_config('role', :role, true), set_config('taskchat.user_id', :user_id, true),"
    " set_config('statement_timeout', :statement_timeout, true),"
    " set_config('lock_timeout', :statement_timeout, true),"
    " set_config('idle_in_transaction_session_timeout', :statement_timeout, true)"
)
# Local to the transaction, not to the session: a transaction pooler hands the session to others.


AnyRow: TypeAlias = Row[*tuple[Any, ...]]
"""A row whose columns are read by name."""


class Database:
    """One engine and its pool.

    Args:
        url: As in `DATABASE_URL`.
        settings: For the pool's size and the time limits.
    """

    def __init__(self, url: str, settings: Settings) -> None:
        connect_args: dict[str, object] = {
            "timeout": CONNECT_TIMEOUT_S,
            # asyncpg waits for ever by default; the server's own limit strikes first.
            "command_timeout": settings.statement_timeout_s + 2,
        }
        if settings.database_direct_url:
            # Behind a transaction pooler the next statement may meet another server process,
            # which has not heard of what was prepared here.
            connect_args |= {
                "statement_cache_size": 0,
                "prepared_statement_cache_size": 0,
                "prepared_statement_name_func": lambda: f"taskchat_{new_id().hex}",
            }
        self.engine: AsyncEngine = create_async_engine(
            async_url(url),
            pool_size=settings.db_pool_size,
            max_overflow=0,
            pool_timeout=settings.pool_timeout_s,
            pool_recycle=1800,
            # An error's text may reach a log, and parameters are what people wrote.
            hide_parameters=True,
            connect_args=connect_args,
        )
        # Who is served has a connection at once: the pool itself is never waited for.
        self._line = Line(
            size=settings.db_pool_size,
            waiting_max=settings.db_line_max,
            still_s=settings.pool_timeout_s,
        )
        self._statement_timeout = f"{int(settings.statement_timeout_s * 1000)}ms"

    @contextlib.asynccontextmanager
    async def transaction(
        self, principal: Principal, precedence: Precedence = Precedence.ARRIVING
    ) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that sees the principal's rows and no others.

        Commits when the block ends, rolls back when it raises.

        Args:
            principal: Whose.
            precedence: Who goes first where connections have to be waited for.

        Raises:
            Overloaded: too many wait for a connection; never for what is ACCEPTED.
            DatabaseError: a limit struck, or the server went away.
        """
        async with self._transaction(APP_ROLE, principal.user_id, precedence) as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def system_transaction(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction for what acts for nobody; it reads no message and no task.

        It sees to turns that were accepted, and goes first as they do.

        Raises:
            DatabaseError: as for `transaction`.
        """
        async with self._transaction(SYSTEM_ROLE, "", Precedence.ACCEPTED) as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def login_transaction(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction as the login itself, for what only the catalog can tell.

        Raises:
            DatabaseError: as for `transaction`.
        """
        async with self._transaction("none", "", Precedence.ACCEPTED) as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def _transaction(
        self, role: str, user_id: str, precedence: Precedence
    ) -> AsyncIterator[AsyncConnection]:
        async with self._line.place(user_id, precedence), self._bound(role, user_id) as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def _bound(self, role: str, user_id: str) -> AsyncIterator[AsyncConnection]:
        try:
            connection = await self._enter(role, user_id)
            try:
                yield connection
                await connection.commit()
            except BaseException:
                await _roll_back(connection)
                raise
            finally:
                await connection.close()
        except (DBAPIError, PoolTimeoutError, OSError, InternalClientError) as error:
            if isinstance(error, DBAPIError) and not is_transient(error):
                raise
            raise DatabaseError(retry_after_s=1) from error

    async def _enter(self, role: str, user_id: str) -> AsyncConnection:
        """Check a connection out and bind it.

        The first statement may be the one that finds the connection dead, after the server was
        restarted. Nothing has happened yet at that point, so it is tried once more on a new one:
        the pool drops all the others as stale when it sees the first.
        """
        try:
            return await self._bound_connection(role, user_id)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            return await self._bound_connection(role, user_id)

    async def _bound_connection(self, role: str, user_id: str) -> AsyncConnection:
        connection = await self.engine.connect()
        try:
            await connection.execute(
                _ENTER,
                {"role": role, "user_id": user_id, "statement_timeout": self._statement_timeout},
            )
        except BaseException:
            await connection.close()
            raise
        return connection

    async def close(self) -> None:
        """Close every pooled connection."""
        await self.engine.dispose()


async def _roll_back(connection: AsyncConnection) -> None:
    # The error that brought us here is the one to report, not that the socket is gone too.
    with contextlib.suppress(DBAPIError, OSError, InternalClientError):
        await connection.rollback()


_TRANSIENT_SQLSTATES: Final = frozenset(
    {
        "57014",  # query_canceled: statement_timeout
        "55P03",  # lock_not_available: lock_timeout
        "25P03",  # idle_in_transaction_session_timeout
        "40001",  # serialization_failure
        "40P01",  # deadlock_detected
        "57P01",  # admin_shutdown
        "57P02",  # crash_shutdown
        "57P03",  # cannot_connect_now
        "57P05",  # idle_session_timeout
        "53300",  # too_many_connections
        "53400",  # configuration_limit_exceeded
    }
)


def is_transient(error: DBAPIError) -> bool:
    """Whether a repeat may succeed: the server was away or a time limit struck."""
    if error.connection_invalidated:
        return True
    state = getattr(error.orig, "sqlstate", None)
    if state is None:
        # No SQLSTATE means that the driver, not the server, gave up: a socket or a timeout.
        return not isinstance(error.orig, ValueError | TypeError) and isinstance(
            error, OperationalError | InterfaceError
        )
    return state in _TRANSIENT_SQLSTATES or str(state).startswith("08")


def async_url(url: str) -> URL:
    """The SQLAlchemy address for asyncpg of a `DATABASE_URL` in any of its spellings.

    Raises:
        ValueError: when it is not a Postgres address.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise ValueError("DATABASE_URL must begin with postgresql://")
    query = dict(parsed.query)
    # libpq's name for what asyncpg calls ssl; hosted databases hand their addresses out with it.
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    query.pop("channel_binding", None)
    return parsed.set(drivername="postgresql+asyncpg", query=query)


def table_of(model: type[SQLModel]) -> Table:
    """The Core table behind a SQLModel class; statements on the hot path are plain Core."""
    return cast(Table, model.__table__)  # type: ignore[attr-defined]


def dsn_of(url: str) -> str:
    """The same address for asyncpg itself, which LISTEN needs."""
    return async_url(url).set(drivername="postgresql").render_as_string(hide_password=False)

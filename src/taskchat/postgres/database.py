"""The database. `Database.transaction(principal)` is the only door to a user's rows.

A transaction is short, never spans a model call, and sees the rows of one principal: the role
it enters and the user it names bind it by row-level security, whoever logged in.
"""

import contextlib
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Final, TypeAlias, cast

from sqlalchemy import MetaData, Row, Table, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlmodel import SQLModel

from taskchat.errors import DatabaseUnwritable
from taskchat.postgres.care import ConnectionCare
from taskchat.postgres.connect import open_engine
from taskchat.postgres.faults import FAULTS, fault_of, is_lost
from taskchat.postgres.line import Line, Precedence
from taskchat.principal import Principal
from taskchat.settings import Settings

APP_ROLE: Final = "taskchat_app"
"""Role in which a principal's transactions run; row-level security shows it that user's rows."""

SYSTEM_ROLE: Final = "taskchat_system"
"""Role of work that belongs to no user (sweeper, housekeeping); it sees few columns and no text."""

NAMING_CONVENTION: Final = {
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "pk": "%(table_name)s_pkey",
}
"""Postgres' own naming, so that a constraint has the same name however it was made."""

SQLModel.metadata.naming_convention = NAMING_CONVENTION
metadata: MetaData = SQLModel.metadata

UNWRITABLE_S: Final = 5.0
"""How long after a refused write the database counts as unwritable. A full disk can't be asked,
only tried: after this time, requests may try it again."""

_READ_ONLY: Final = text("SELECT current_setting('transaction_read_only')")
_VERSION: Final = text("SELECT current_setting('server_version_num')::int / 10000, now()")
_ENTER: Final[TextClause] = text(
    "SELECT set_config('role', :role, true), set_config('taskchat.user_id', :user_id, true),"
    " set_config('statement_timeout', :statement_timeout, true),"
    " set_config('lock_timeout', :statement_timeout, true),"
    " set_config('idle_in_transaction_session_timeout', :statement_timeout, true)"
)
# Local to the transaction, not to the session, which a transaction pooler gives to others.

Connection = AsyncConnection
"""A connection inside a transaction: what every statement is given."""

AnyRow: TypeAlias = Row[*tuple[Any, ...]]
"""A row whose columns are read by name."""


class Database:
    """One engine and its pool.

    Args:
        url: As in `DATABASE_URL`.
        settings: For the pool's size and the time limits.
    """

    def __init__(self, url: str, settings: Settings) -> None:
        self.engine: AsyncEngine = open_engine(
            url,
            pooled=settings.database_direct_url is not None,
            # The server's own limit should strike first.
            command_timeout_s=settings.statement_timeout_s + 2,
            pool_size=settings.db_pool_size,
            max_overflow=0,
            pool_timeout=settings.pool_timeout_s,
            pool_recycle=1800,
        )
        self._care = ConnectionCare(self.engine)
        self._unwritable_until = float("-inf")
        # Whoever is served gets a connection at once: nobody waits for the pool itself.
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
            principal: Whose rows it may see and change.
            precedence: Who goes first if connections have to be waited for.

        Raises:
            Overloaded: too many wait for a connection; never raised for ACCEPTED work.
            DatabaseError: a time limit struck, or the server went away.
        """
        async with self._transaction(APP_ROLE, principal.user_id, precedence) as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def system_transaction(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction for work that belongs to no user; it reads no message and no task.

        It serves turns that were accepted, and goes first as they do.

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
        except FAULTS as error:
            fault = fault_of(error)
            if fault is None:
                raise
            if isinstance(fault, DatabaseUnwritable):
                self._unwritable_until = time.monotonic() + UNWRITABLE_S
            raise fault from error

    async def check_writable(self) -> None:
        """Check that it takes writes, as far as that can be known without one.

        Raises:
            DatabaseUnwritable: it takes none, or took none a moment ago.
            DatabaseError: it can't be reached.
        """
        async with self.system_transaction() as connection:
            read_only = await connection.scalar(_READ_ONLY)
        if read_only == "on" or time.monotonic() < self._unwritable_until:
            raise DatabaseUnwritable

    async def version(self) -> tuple[int, datetime]:
        """The server's major version and its clock; raises one of `FAULTS` as it comes."""
        async with self.engine.connect() as connection:
            version, now = (await connection.execute(_VERSION)).one()
        return int(version), now

    async def _enter(self, role: str, user_id: str) -> AsyncConnection:
        """Check a connection out and bind it.

        The first statement may be the one that finds the connection dead, after the server was
        restarted. Nothing has happened yet at that point, so it is tried once more on a new one:
        the pool drops all the others as stale when it sees the first.
        """
        connection = await self.engine.connect()
        try:
            await self._bind(connection, role, user_id)
        except FAULTS as error:
            if not is_lost(error):
                raise
        else:
            return connection
        connection = await self.engine.connect()
        await self._bind(connection, role, user_id)
        return connection

    async def _bind(self, connection: AsyncConnection, role: str, user_id: str) -> None:
        try:
            await connection.execute(
                _ENTER,
                {"role": role, "user_id": user_id, "statement_timeout": self._statement_timeout},
            )
        except BaseException:
            await connection.close()
            raise

    async def close(self) -> None:
        """Close every pooled connection."""
        await self.engine.dispose()


async def _roll_back(connection: AsyncConnection) -> None:
    # Report the error that brought us here, not that the socket is gone too.
    with contextlib.suppress(*FAULTS):
        await connection.rollback()


def table_of(model: type[SQLModel]) -> Table:
    """The Core table behind a SQLModel class; statements on the hot path are plain Core."""
    return cast(Table, model.__table__)  # type: ignore[attr-defined]

"""The database. The only doors to a user's rows are `Database.transaction` and `Database.call`.

A transaction is short, never spans a model call, and sees the rows of one principal: the role
it enters and the user it names bind it by row-level security, whoever logged in.
"""

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, cast

from sqlalchemy import text

from taskchat.errors import DatabaseUnwritable, UserGone
from taskchat.postgres.connect import Connector, time_limits, timeout_text
from taskchat.postgres.faults import FAULTS, fault_of, sqlstate_of
from taskchat.postgres.line import Line, Precedence
from taskchat.postgres.pool import Pool
from taskchat.postgres.statements import (
    OF_DATABASE,
    AnyRow,
    Connection,
    Function,
    Row,
    Values,
    traced_sql,
)
from taskchat.principal import Principal
from taskchat.settings import Settings
from taskchat.telemetry import metrics
from taskchat.telemetry.timing import spending
from taskchat.telemetry.traces import inner_span

__all__ = ["AnyRow", "Connection", "Database", "Function"]

APP_ROLE: Final = "taskchat_app"
"""Role in which a principal's transactions run; row-level security shows it that user's rows."""

SYSTEM_ROLE: Final = "taskchat_system"
"""Role of work that belongs to no user (sweeper, housekeeping); it sees few columns and no text."""

READER_ROLE: Final = "taskchat_reader"
"""Role of whoever comes with a link; row-level security shows it what that link shows."""

READERS: Final = "/"
"""Who reads by links, in the line: all of them wait as one user does, so that however many they are
they take one connection at a time and one turn in many. No user's id has a slash."""

ACCOUNTS_ROLE: Final = "taskchat_accounts"
"""Role in which somebody is found who has not proved yet who they are. Of accounts and refresh
tokens it sees the one row that the transaction names, and it keeps the signing keys."""

UNWRITABLE_S: Final = 5.0
"""How long after a refused write the database counts as unwritable. A full disk can't be asked,
only tried: after this time, requests may try it again."""

_READ_ONLY: Final = text("SELECT current_setting('transaction_read_only')")
_VERSION: Final = "SELECT current_setting('server_version_num')::int / 10000, now()"


class Database:
    """One database and the pool of connections to it.

    Args:
        url: As in `DATABASE_URL`.
        settings: For the pool's size and the time limits.
    """

    def __init__(self, url: str, settings: Settings) -> None:
        connector = Connector(
            url,
            pooled=settings.database_direct_url is not None,
            statement_timeout_s=settings.statement_timeout_s,
        )
        self.pool = Pool(connector, size=settings.db_pool_size)
        self._session_is_shared = connector.pooled
        self._unwritable_until = float("-inf")
        self._on_user_gone: list[Callable[[str], None]] = []
        # Whoever is served gets a connection at once: nobody waits for the pool itself.
        self._line = Line(
            size=settings.db_pool_size,
            waiting_max=settings.db_line_max,
            still_s=settings.pool_timeout_s,
        )
        self._timeout = timeout_text(settings.statement_timeout_s)
        self._spare_timeout = timeout_text(
            min(settings.statement_timeout_s, settings.chore_statement_timeout_s)
        )

    def on_user_gone(self, callback: Callable[[str], None]) -> None:
        """Call back with a user's id whenever their row turns out to be deleted."""
        self._on_user_gone.append(callback)

    @contextlib.asynccontextmanager
    async def transaction(
        self, principal: Principal, precedence: Precedence = Precedence.ARRIVING
    ) -> AsyncIterator[Connection]:
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
    async def system_transaction(self) -> AsyncIterator[Connection]:
        """Open a transaction for work that belongs to no user; it reads no message and no task.

        It serves turns that were accepted, and goes first as they do.

        Raises:
            DatabaseError: as for `transaction`.
        """
        async with self._transaction(SYSTEM_ROLE, "", Precedence.ACCEPTED) as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def spare_transaction(self) -> AsyncIterator[Connection]:
        """The same for work that nobody waits for: it goes last, and its statements are short.

        Raises:
            DatabaseError: as for `transaction`.
        """
        async with self._transaction(
            SYSTEM_ROLE, "", Precedence.SPARE, statement_timeout=self._spare_timeout
        ) as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def reader_transaction(self, token_hash: bytes) -> AsyncIterator[Connection]:
        """Open a transaction that sees what one link shows, and nothing else.

        Args:
            token_hash: Of the link's token.

        Raises:
            Overloaded: too many wait for a connection.
            DatabaseError: as for `transaction`.
        """
        async with self._transaction(
            READER_ROLE,
            "",
            Precedence.ARRIVING,
            waits_as=READERS,
            names={"share": token_hash.hex()},
        ) as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def account_transaction(self, sought: str = "") -> AsyncIterator[Connection]:
        """Open a transaction before it is known who acts.

        Args:
            sought: What the only account or refresh token that it sees is found by: an address of
                mail, or the hash of a token in hexadecimal.

        Raises:
            Overloaded: as for `transaction`.
            DatabaseError: as for `transaction`.
        """
        # All of them are one user in the line: who signs in has no place of their own in it.
        async with self._transaction(
            ACCOUNTS_ROLE, "", Precedence.ARRIVING, names={"sought": sought}
        ) as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def login_transaction(self) -> AsyncIterator[Connection]:
        """Open a transaction as the login itself, for what only the catalog can tell.

        Raises:
            DatabaseError: as for `transaction`.
        """
        async with self._transaction("none", "", Precedence.ACCEPTED) as connection:
            yield connection

    async def call(
        self,
        principal: Principal,
        function: Function,
        values: Values | Callable[[], Values],
        precedence: Precedence = Precedence.ACCEPTED,
    ) -> Row:
        """Call a function of the database's that returns one row: a transaction in one round trip.

        Args:
            principal: Whose rows it may see and change.
            function: The function, which binds itself to the principal before all else.
            values: Its arguments, or what tells them once a connection is free.
            precedence: Who goes first if connections have to be waited for.

        Raises:
            Overloaded: as for `transaction`.
            DatabaseError: as for `transaction`.
        """
        [row] = await self._call(APP_ROLE, principal.user_id, function, values, precedence)
        return cast(Row, row)

    async def call_for_rows(
        self,
        principal: Principal,
        function: Function,
        values: Values,
        precedence: Precedence = Precedence.ACCEPTED,
    ) -> Sequence[AnyRow]:
        """The same for a function that returns any number of rows.

        Raises:
            Overloaded: as for `transaction`.
            DatabaseError: as for `transaction`.
        """
        return await self._call(APP_ROLE, principal.user_id, function, values, precedence)

    async def system_call(self, function: Function, values: Values) -> Sequence[AnyRow]:
        """The same for work that belongs to no user.

        Raises:
            DatabaseError: as for `transaction`.
        """
        return await self._call(SYSTEM_ROLE, "", function, values, Precedence.ACCEPTED)

    async def _call(
        self,
        role: str,
        user_id: str,
        function: Function,
        values: Values | Callable[[], Values],
        precedence: Precedence,
    ) -> list[Any]:
        def arguments() -> list[Any]:
            given = values() if callable(values) else values
            return [user_id, *function.arguments(given)]

        if self._session_is_shared:
            # What is prepared must be run by the same server process.
            async with self._transaction(role, user_id, precedence) as connection:
                return await connection.fetch(function.sql, *arguments())
        async with self._line.place(user_id, precedence):
            with (
                self._reported(user_id),
                traced_sql(function.sql, name=function.name),
                spending("db"),
            ):
                async with self.pool.connection() as driven:
                    return cast("list[Any]", await driven.fetch(function.sql, *arguments()))

    @contextlib.asynccontextmanager
    async def _transaction(
        self,
        role: str,
        user_id: str,
        precedence: Precedence,
        *,
        statement_timeout: str | None = None,
        waits_as: str | None = None,
        names: Mapping[str, str] = MappingProxyType({}),
    ) -> AsyncIterator[Connection]:
        # What the transaction names is what row-level security shows it. One round trip.
        named = ", ".join(
            _local(f"taskchat.{name}", value)
            for name, value in {"user_id": user_id, **names}.items()
        )
        begin = (
            f"BEGIN; SELECT set_config('role', '{role}', true), {named},"
            f" {time_limits(self._timeout, local=True, statement=statement_timeout)}"
        )
        async with self._line.place(user_id if waits_as is None else waits_as, precedence):
            with (
                self._reported(user_id),
                inner_span("transaction", OF_DATABASE, kind="client"),
                spending("db"),
            ):
                async with self.pool.connection(begin) as driven:
                    try:
                        yield Connection(driven)
                        await driven.execute("COMMIT")
                    except BaseException:
                        # Report the error that brought us here, not that the socket is gone too.
                        with contextlib.suppress(*FAULTS):
                            await driven.execute("ROLLBACK")
                        raise

    @contextlib.contextmanager
    def _reported(self, user_id: str) -> Iterator[None]:
        """Raise what is our business to tell in place of what the driver raises."""
        try:
            yield
        except UserGone:
            self._note_gone(user_id)
            raise
        except FAULTS as error:
            metrics.DATABASE_FAULTS.labels(sqlstate_of(error) or "connection").inc()
            fault = fault_of(error)
            if fault is None:
                raise
            if isinstance(fault, DatabaseUnwritable):
                self._unwritable_until = time.monotonic() + UNWRITABLE_S
            if isinstance(fault, UserGone):
                self._note_gone(user_id)
            raise fault from error

    def _note_gone(self, user_id: str) -> None:
        for callback in self._on_user_gone:
            callback(user_id)

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
        async with self.pool.connection() as driven:
            version, now = await driven.fetchrow(_VERSION)
        return int(version), now

    async def close(self) -> None:
        """Close every pooled connection."""
        await self.pool.close()


def _local(name: str, value: str) -> str:
    """SQL that sets a setting until the transaction ends; in hex, lest a value be read as SQL."""
    hexadecimal = value.encode().hex()
    return f"set_config('{name}', convert_from(decode('{hexadecimal}', 'hex'), 'UTF8'), true)"

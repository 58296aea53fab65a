"""Connecting to the database: one way, for the pool, for LISTEN and for migrations."""

import asyncio
import random
import socket
import ssl
from typing import Any, Final, TypeVar, cast

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from taskchat.moments import new_id
from taskchat.postgres.statements import Row
from taskchat.settings.database_url import DatabaseAddress, KeepAlive, is_socket, parse_address

TIME_LIMITS: Final = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
"""Postgres' limits on what one statement, and one client, may hold up."""

_ELSEWHERE: Final = (
    OSError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.PostgresConnectionError,
    asyncpg.InternalClientError,
)
"""Failures after which another host may do; a server that refuses the login is the right one."""


class Connection(asyncpg.Connection):  # type: ignore[misc]
    """The driver's connection, which keeps its socket at hand."""

    def __init__(self, protocol: Any, transport: asyncio.Transport, *rest: Any) -> None:
        super().__init__(protocol, transport, *rest)
        self.socket: socket.socket = transport.get_extra_info("socket")

    def keep_alive(self, wanted: KeepAlive) -> None:
        """Make the kernel probe a silent peer."""
        if self.socket.family == socket.AF_UNIX:
            return
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (
            ("TCP_KEEPIDLE", wanted.idle_s),
            # Other systems' name for the same option.
            ("TCP_KEEPALIVE", wanted.idle_s),
            ("TCP_KEEPINTVL", wanted.interval_s),
            ("TCP_KEEPCNT", wanted.count),
            ("TCP_USER_TIMEOUT", wanted.user_timeout_ms),
        ):
            if value is not None and hasattr(socket, name):
                self.socket.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


Made = TypeVar("Made", bound=Connection)


def open_engine(url: str, **options: Any) -> AsyncEngine:
    """An engine of SQLAlchemy's whose connections are made by `connect`: for migrations.

    Args:
        url: As in `DATABASE_URL`.
        options: Options of SQLAlchemy's engine.

    Raises:
        ValueError: as `parse_address`.
    """
    address = parse_address(url)

    async def connect_to_it(**of_the_driver: Any) -> Connection:
        return await _connect(address, **of_the_driver)

    connect_args: dict[str, Any] = {"async_creator_fn": connect_to_it}
    if address.pooled:
        connect_args |= {
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": lambda: f"taskchat_{new_id().hex}",
        }
    return create_async_engine(
        "postgresql+asyncpg://",
        # An error's text may reach a log, and parameters are what people wrote.
        hide_parameters=True,
        connect_args=connect_args,
        **options,
    )


class Connector:
    """Makes the service's connections to one database.

    Args:
        url: As in `DATABASE_URL`.
        pooled: Whether a transaction pooler is in front of the database, even if the address does
            not say so.
        statement_timeout_s: The time limit of each statement; the driver waits a little longer, so
            that the server's own limit strikes first.

    Attributes:
        pooled: Whether a session is shared with others, so that nothing may be left in it.

    Raises:
        ValueError: as `parse_address`.
    """

    def __init__(self, url: str, *, pooled: bool, statement_timeout_s: float) -> None:
        self._address = parse_address(url)
        self.pooled = pooled or self._address.pooled
        self._timeout = timeout_text(statement_timeout_s)
        self._options: dict[str, Any] = {"command_timeout": statement_timeout_s + 2}
        if self.pooled:
            # The next statement may reach another server process, which knows nothing of what was
            # prepared here.
            self._options["statement_cache_size"] = 0
        elif self._address.statement_cache is not None:
            self._options["statement_cache_size"] = self._address.statement_cache

    async def connect(self, connection_class: type[Made]) -> Made:
        """A connection to the first host that will do; raises as `connect`."""
        made = await _connect(
            self._address, connection_class=connection_class, record_class=Row, **self._options
        )
        # For what runs without a transaction of ours around it. A session that turns out to be
        # shared, behind a pooler that nobody told of, is left as it is.
        try:
            await made.execute(
                f"SELECT {time_limits(self._timeout, local=False)}"
                f" WHERE pg_backend_pid() = {made.get_server_pid()}"
            )
        except BaseException:
            # Whoever asked for it has left, or it is lost: nobody else would close it.
            made.terminate()
            raise
        return cast(Made, made)


def timeout_text(seconds: float) -> str:
    """A time limit as Postgres reads it."""
    return f"{int(seconds * 1000)}ms"


def time_limits(timeout: str, *, local: bool, statement: str | None = None) -> str:
    """SQL columns that limit what one statement, and one client, may hold up.

    Args:
        timeout: As `timeout_text` has it.
        local: Whether it is for the transaction, not for the session, which a transaction pooler
            gives to others.
        statement: That of a statement and its locks, if it is another.
    """
    limits = dict.fromkeys(TIME_LIMITS, timeout)
    if statement is not None:
        limits |= {"statement_timeout": statement, "lock_timeout": statement}
    return ", ".join(f"set_config('{name}', '{value}', {local})" for name, value in limits.items())


async def connect(url: str, *, command_timeout_s: float, **options: Any) -> Connection:
    """A connection to the first host that will do.

    Args:
        url: As in `DATABASE_URL`.
        command_timeout_s: The time limit of each statement; the driver's own default is for ever.
        options: Further options of the driver.

    Raises:
        OSError: no host answers, or none in time.
        asyncpg.PostgresError: the server refuses.
        asyncpg.InternalClientError: no host takes writes, or one was cut off mid-message.
    """
    return await _connect(parse_address(url), command_timeout=command_timeout_s, **options)


async def _connect(address: DatabaseAddress, **options: Any) -> Connection:
    hosts = list(address.hosts)
    if address.shuffled:
        random.shuffle(hosts)
    failures: list[Exception] = []
    for host, port in hosts:
        try:
            return await _connect_to(host, port, address, options)
        except _ELSEWHERE as error:
            failures.append(error)
    raise failures[-1]


async def _connect_to(
    host: str, port: int, address: DatabaseAddress, options: dict[str, Any]
) -> Connection:
    """Try one host with TLS and without, as far as both are allowed."""
    refusals: list[Exception] = []
    for tls in (None,) if is_socket(host) else address.tls:
        try:
            connection: Connection = await asyncpg.connect(
                host=host,
                port=port,
                user=address.user,
                password=address.password,
                database=address.dbname,
                ssl=tls or False,
                direct_tls=address.direct_tls and tls is not None,
                server_settings=dict(address.server_settings),
                timeout=address.connect_timeout_s,
                **{"connection_class": Connection, **address.options, **options},
            )
        except (OSError, asyncpg.InvalidAuthorizationSpecificationError) as error:
            if not _may_be_about_tls(error):
                raise
            refusals.append(error)
        else:
            if address.keep_alive is not None:
                connection.keep_alive(address.keep_alive)
            return connection
    raise refusals[-1]


def _may_be_about_tls(error: Exception) -> bool:
    """Whether the server refused this attempt, and might accept one with or without TLS."""
    if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):
        return not isinstance(error, asyncpg.InvalidPasswordError)
    # The driver has no type of its own for a server that knows no TLS.
    return type(error) is ConnectionError or isinstance(error, ssl.SSLError | ConnectionResetError)

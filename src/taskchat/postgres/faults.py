"""What a database error means: it will pass, the connection is lost, or it is a bug of ours."""

from typing import Final

from asyncpg import InterfaceError as DriverError
from asyncpg import InternalClientError, PostgresError
from sqlalchemy.exc import DBAPIError

from taskchat.errors import (
    DatabaseError,
    DatabaseRefused,
    DatabaseUnwritable,
    ParentGone,
    UserGone,
)

FAULTS: Final = (OSError, PostgresError, DriverError, InternalClientError)
"""All that a statement or an attempt to connect may raise; the last, if it is cut off halfway."""

READ_ONLY: Final = "25006"
"""read_only_sql_transaction: a standby, a primary that was demoted, or one that was told so."""

_PASSING: Final = (
    "08",  # the connection
    READ_ONLY,
    "25P03",  # idle_in_transaction_session_timeout
    "25P04",  # transaction_timeout
    "40",  # serialization_failure, deadlock_detected
    "53",  # no disk, no memory, no connections
    "55P03",  # lock_not_available: lock_timeout
    "57",  # somebody stopped the statement, the session or the server
    "58",  # the server's own system calls
    "XX",  # the server's own bugs, broken files, and what poolers say of a server that is away
)
"""SQLSTATEs, or their classes, of errors that pass without a change here."""

_REFUSING: Final = ("28", "3D")
"""The login or the database is not there, or not for us."""

_UNWRITABLE: Final = (READ_ONLY, "53100", "58030")
"""The server answers and can't write: read-only, a full disk, a broken one."""

_NO_PARENT: Final = "23503"
"""foreign_key_violation: a row points at one that is not there. It was: nothing is written before
what it belongs to was looked up, or in the transaction that made it."""

_OF_USER: Final = "_user_id_fkey"
"""How the names of foreign keys to `users` end, and no others; see database.NAMING_CONVENTION."""

_ENDING: Final = ("08", READ_ONLY, "25P03", "25P04", "57P")
"""After these a connection is useless: it is gone, or leads to the wrong server."""


def sqlstate_of(error: BaseException) -> str | None:
    """The server's code of an error; None if the server said nothing."""
    state = getattr(getattr(error, "orig", None) or error, "sqlstate", None)
    return str(state) if state else None


def is_transient(error: BaseException) -> bool:
    """Whether a repeat may succeed: the server was away, or could not, or a time limit struck."""
    state = sqlstate_of(error)
    return is_lost(error) if state is None else state.startswith(_PASSING)


def is_lost(error: BaseException) -> bool:
    """Whether the connection that raised this is of no further use.

    No answer in time counts too: what dropped this connection silently has dropped the others.
    """
    state = sqlstate_of(error)
    if state is not None:
        return state.startswith(_ENDING)
    if isinstance(error, DBAPIError):
        # Migrations run over SQLAlchemy, whose error wraps the driver's.
        error = getattr(error.orig, "__cause__", None) or error
    if isinstance(error, DriverError):
        return not isinstance(error, ValueError | TypeError)
    return isinstance(error, OSError | InternalClientError)


def fault_of(error: BaseException) -> DatabaseError | None:
    """The answer for an error; None if it is a bug of ours."""
    state = sqlstate_of(error) or ""
    if state.startswith(_REFUSING):
        return DatabaseRefused(retry_after_s=5)
    if state.startswith(_UNWRITABLE):
        return DatabaseUnwritable(retry_after_s=2)
    if state == _NO_PARENT:
        of_user = str(getattr(error, "constraint_name", "")).endswith(_OF_USER)
        return UserGone(retry_after_s=1) if of_user else ParentGone(retry_after_s=1)
    return DatabaseError(retry_after_s=1) if is_transient(error) else None


def reason_of(error: BaseException) -> str:
    """The same for the operator, in a few words without secrets."""
    driven = getattr(error, "orig", None) or error
    if isinstance(driven, TimeoutError):
        return "no answer in time"
    if isinstance(driven, OSError):
        return driven.strerror or str(driven) or type(driven).__name__
    first = next(iter(str(driven).splitlines()), "")
    return first.partition(": ")[2] if first.startswith("<class ") else first

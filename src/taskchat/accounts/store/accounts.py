"""SQL of accounts: finding one by its address, making one, changing its password."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import text

from taskchat.postgres.database import Connection
from taskchat.principal import Principal

_FIND: Final = text(
    "SELECT user_id, password_hash, password_changed_at FROM accounts WHERE email = :email"
)
_ADD_USER: Final = text("INSERT INTO users (id) VALUES (:owner)")
_ADD: Final = text(
    "INSERT INTO accounts (user_id, email, password_hash) VALUES (:owner, :email, :hash)"
    # Who has the address is another user, whose row this transaction can't see and need not.
    " ON CONFLICT (email) DO NOTHING RETURNING password_changed_at"
)
_CHANGE: Final = text(
    "UPDATE accounts SET password_hash = :hash, password_changed_at = clock_timestamp()"
    " WHERE user_id = :owner AND password_changed_at = :seen"
)
_REHASH: Final = text(
    "UPDATE accounts SET password_hash = :hash WHERE user_id = :owner"
    " AND password_changed_at = :seen"
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What proves an account.

    Attributes:
        principal: Whose account it is.
        password_hash: Of the password.
        seen: When it was set: what is done on its strength holds only while that is so.
    """

    principal: Principal
    password_hash: str = field(repr=False)
    seen: datetime


async def find(connection: Connection, email: str) -> Credentials | None:
    """The account of an address. An account transaction that seeks it."""
    row = (await connection.execute(_FIND, {"email": email})).one_or_none()
    if row is None:
        return None
    return Credentials(Principal(row.user_id), row.password_hash, row.password_changed_at)


async def add(
    connection: Connection, principal: Principal, *, email: str, password_hash: str
) -> datetime | None:
    """Make a user with an account; returns when.

    None if the address has one. Then the transaction must not be committed.
    """
    values = {"owner": principal.user_id, "email": email, "hash": password_hash}
    await connection.execute(_ADD_USER, {"owner": principal.user_id})
    row = (await connection.execute(_ADD, values)).one_or_none()
    return None if row is None else row.password_changed_at


async def change_password(
    connection: Connection, principal: Principal, *, password_hash: str, seen: datetime
) -> bool:
    """Set another password; False if somebody did meanwhile, or the account is gone."""
    values = {"owner": principal.user_id, "hash": password_hash, "seen": seen}
    return bool(await connection.change(_CHANGE, values))


async def rehash(
    connection: Connection, principal: Principal, *, password_hash: str, seen: datetime
) -> None:
    """Keep a newer hash of the same password."""
    values = {"owner": principal.user_id, "hash": password_hash, "seen": seen}
    await connection.change(_REHASH, values)

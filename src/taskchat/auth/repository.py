"""Users and signing keys, as the database knows them."""

from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import text

from taskchat.postgres.database import Connection, Database, Function
from taskchat.postgres.line import Precedence
from taskchat.principal import Principal

KNOW: Final = Function("user_know_1")

KEYS_LOCK: Final = 7_236_521_885
"""An arbitrary number that only the making of signing keys locks."""

_ACCOUNT = text("SELECT true FROM accounts WHERE user_id = :owner")
_KEYS = text(
    "SELECT id, public_key, private_key, encrypted,"
    " CAST(extract(epoch FROM signs_at - now()) AS float8) AS signs_in_s FROM signing_keys"
)
_LOCK_KEYS = text("SELECT pg_advisory_xact_lock(:key)")
_ADD_KEY = text(
    "INSERT INTO signing_keys (id, public_key, private_key, encrypted, signs_at) VALUES"
    " (:id, :public_key, :private_key, :encrypted, now() + make_interval(secs => :lead_s))"
)
_DELETE_KEYS = text("DELETE FROM signing_keys")
_FORGET_KEYS = text(
    # One that a later key has replaced for longer than its last token lives.
    "DELETE FROM signing_keys WHERE id IN (SELECT k.id FROM signing_keys AS k"
    " WHERE EXISTS (SELECT FROM signing_keys AS later WHERE later.signs_at > k.signs_at"
    " AND later.signs_at < now() - make_interval(secs => :verifies_s)) LIMIT :rows_max)"
)


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A signing key as it is stored.

    Attributes:
        id: What tokens call it.
        public_key: 32 bytes.
        private_key: 32 bytes, or more if they are encrypted.
        encrypted: Whether they are.
        signs_in_s: Seconds until it signs; below zero since it does.
    """

    id: str
    public_key: bytes
    private_key: bytes = field(repr=False)
    encrypted: bool
    signs_in_s: float


async def know(database: Database, principal: Principal) -> None:
    """Make the principal's row, if there is none: user_know_1.sql.

    Raises:
        Overloaded: too many wait for a connection.
        DatabaseError: the outcome is unknown.
    """
    await database.call(principal, KNOW, {}, Precedence.ARRIVING)


async def has_account(database: Database, principal: Principal) -> bool:
    """Whether the principal's account still exists.

    Raises:
        DatabaseError: it can't be known.
    """
    async with database.transaction(principal) as connection:
        found = await connection.scalar(_ACCOUNT, {"owner": principal.user_id})
    return bool(found)


async def keys(connection: Connection) -> list[StoredKey]:
    """Every signing key. An account transaction, as for all below but the last."""
    return [StoredKey(*row) for row in await connection.execute(_KEYS)]


async def lock_keys(connection: Connection) -> None:
    """Wait until nobody else makes a key; until the transaction ends, nobody does."""
    await connection.execute(_LOCK_KEYS, {"key": KEYS_LOCK})


async def add_key(connection: Connection, key: StoredKey, *, lead_s: float) -> None:
    """Publish a key that signs in so many seconds."""
    await connection.execute(
        _ADD_KEY,
        {
            "id": key.id,
            "public_key": key.public_key,
            "private_key": key.private_key,
            "encrypted": key.encrypted,
            "lead_s": lead_s,
        },
    )


async def delete_keys(connection: Connection) -> None:
    """Take every key back."""
    await connection.execute(_DELETE_KEYS)


async def forget_keys(connection: Connection, *, verifies_s: float, rows_max: int) -> int:
    """Delete some keys whose last token is over; returns how many. A system transaction."""
    values = {"verifies_s": verifies_s, "rows_max": rows_max}
    return await connection.change(_FORGET_KEYS, values)

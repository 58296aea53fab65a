"""How often somebody may try: a bucket for each address of mail, and one for each client address.

How often an account may refresh is another one.

An attempt is charged before its password is looked at, and given back if that was right. What is
stored is a hash of each.
"""

import hashlib
import ipaddress
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from taskchat.accounts.store import accounts, attempts
from taskchat.accounts.store.accounts import Credentials
from taskchat.errors import RateLimited
from taskchat.postgres.database import Connection, Database
from taskchat.principal import Principal
from taskchat.settings import Settings
from taskchat.telemetry import metrics

log = structlog.get_logger()

NETWORK_BITS: Final = 64
"""Of an IPv6 address: its owner has all others of that network, too."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks, before it is known who they are.

    Attributes:
        address: Of the connection, or what a trusted proxy says of it.
        user_agent: What calls itself so.
    """

    address: str
    user_agent: str


class Throttle:
    """The limits of attempts.

    Args:
        database: Where the buckets are.
        settings: The limits; 0 means none.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._of_email = settings.accounts_attempts_per_hour
        self._of_client = settings.accounts_client_attempts_per_hour
        self._of_refreshes = settings.accounts_refreshes_per_hour

    async def charge(self, client: Client, enter: Callable[[], object]) -> None:
        """Charge one attempt that names no account yet.

        Args:
            client: Who asks.
            enter: Called before anything is charged for good; nothing is if it raises.

        Raises:
            RateLimited: there is none left.
        """
        async with self._database.account_transaction() as connection:
            await self._spend(connection, {_bucket_of(client): self._of_client})
            enter()

    async def charge_and_find(
        self, client: Client, email: str, enter: Callable[[], object]
    ) -> Credentials | None:
        """Charge one attempt at an account, and find that; None if there is none.

        Args:
            client: Who asks.
            email: The account's.
            enter: As for `charge`.

        Raises:
            RateLimited: there is none left, of the address of mail or of the client.
        """
        async with self._database.account_transaction(email) as connection:
            await self._spend(
                connection, {_bucket_of(client): self._of_client, _bucket(email): self._of_email}
            )
            found = await accounts.find(connection, email)
            enter()
        return found

    async def charge_refresh(self, connection: Connection, principal: Principal) -> None:
        """Charge one refresh of an account, in an account transaction.

        Raises:
            RateLimited: there is none left.
        """
        await self._spend(
            connection, {_bucket(f"refreshes {principal.user_id}"): self._of_refreshes}
        )

    async def give_back(self, client: Client, email: str) -> None:
        """The password was right: the account has all attempts again, and the client this one."""
        steps = []
        if self._of_email:
            steps.append((_bucket(email), attempts.fill))
        if self._of_client:
            steps.append((_bucket_of(client), attempts.give_back))
        if not steps:
            return
        async with self._database.account_transaction() as connection:
            # In the order in which they are charged, or two who sign in wait for each other.
            for bucket, change in sorted(steps):
                await change(connection, bucket)

    async def _spend(self, connection: Connection, per_hour: dict[bytes, int]) -> None:
        limits = {bucket: limit for bucket, limit in per_hour.items() if limit}
        if not limits:
            return
        levels = await attempts.spend(connection, limits)
        wait_s = max(
            math.ceil(-level * attempts.FULL_AGAIN_S / limits[bucket])
            for bucket, level in levels.items()
        )
        if wait_s > 0:
            metrics.SIGN_INS.labels("throttled").inc()
            log.info("account.throttled", retry_after_s=wait_s)
            # Raised inside of the transaction: what is refused costs nothing.
            raise RateLimited(
                f"Too many attempts; try again in {wait_s} seconds.",
                retry_after_s=wait_s,
            )


def _bucket_of(client: Client) -> bytes:
    try:
        address = ipaddress.ip_address(client.address)
    except ValueError:
        # A Unix socket has none.
        return _bucket(f"client {client.address}")
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped
        network = f"{address}/{NETWORK_BITS}" if inner is None else str(inner)
    else:
        network = str(address)
    return _bucket(f"client {ipaddress.ip_network(network, strict=False)}")


def _bucket(name: str) -> bytes:
    # An address of mail has no space, so that the kinds can't meet.
    return hashlib.sha256(name.encode()).digest()

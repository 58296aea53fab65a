"""Hashing passwords by Argon2: slow on purpose, so in threads, and only few at once.

Each takes 64 MiB and tens of milliseconds of several processors. A flood of sign-ins waits for
itself, in a short line, and takes neither memory nor time from turns.
"""

import asyncio
import base64
import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from argon2.low_level import ARGON2_VERSION

from taskchat.errors import SignInsBusy

T = TypeVar("T")

NICENESS: Final = 19
"""The least urgent: who signs in can wait for a moment, and a thousand who do are no reason for a
turn to wait."""

RETRY_AFTER_S: Final = 5
"""By then those ahead are served: fifty of them take two seconds on one processor."""


class Passwords:
    """Hashes and checks passwords.

    Args:
        at_once: How many at the same time.
        waiting_max: How many more may wait.
    """

    def __init__(self, *, at_once: int, waiting_max: int) -> None:
        # The library's parameters are the second choice of RFC 9106, and move with the years.
        self._hasher = PasswordHasher()
        self._nobodys = _hash_of_nobody(self._hasher)
        self._threads = ThreadPoolExecutor(at_once, "passwords", initializer=_step_back)
        self._places = at_once + waiting_max

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """A place in the line, for the time of the block: in it one password is hashed or checked.

        Raises:
            SignInsBusy: there is none left.
        """
        self.check_room()
        self._places -= 1
        try:
            yield
        finally:
            self._places += 1

    async def hashed(self, password: str) -> str:
        """The hash of a password, with its salt and its parameters; in a `place`."""
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, password: str, password_hash: str | None) -> tuple[bool, str | None]:
        """Whether a password is the one of a hash; in a `place`. It takes as long either way.

        Args:
            password: What was sent.
            password_hash: None if there is no such account; then the answer is no.

        Returns:
            That, and a better hash to store if this one is of old parameters.
        """
        known = password_hash is not None
        compared = password_hash or self._nobodys
        right, better = await self._run(lambda: self._compare(password, compared))
        return right and known, better

    def check_room(self) -> None:
        """Refuse at once what would find no place later.

        Raises:
            SignInsBusy: there is none left.
        """
        if not self._places:
            raise SignInsBusy(retry_after_s=RETRY_AFTER_S)

    def close(self) -> None:
        """Start no more; what runs ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _compare(self, password: str, password_hash: str) -> tuple[bool, str | None]:
        try:
            self._hasher.verify(password_hash, password)
        except VerifyMismatchError:
            return False, None
        is_old = self._hasher.check_needs_rehash(password_hash)
        return True, self._hasher.hash(password) if is_old else None

    async def _run(self, work: Callable[[], T]) -> T:
        # Who leaves while it waits is waited for no more; one that is being hashed ends first.
        return await asyncio.wrap_future(self._threads.submit(work))


def _step_back() -> None:
    """Let everything else go first; the threads that a hash starts inherit it."""
    if sys.platform == "linux":
        # There, and only there, each thread has a priority of its own.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def _hash_of_nobody(hasher: PasswordHasher) -> str:
    """A hash that no password has, of the parameters of today, made without hashing."""
    salt, digest = (
        base64.b64encode(os.urandom(length)).decode().rstrip("=")
        for length in (hasher.salt_len, hasher.hash_len)
    )
    return (
        f"$argon2id$v={ARGON2_VERSION}$m={hasher.memory_cost},t={hasher.time_cost},"
        f"p={hasher.parallelism}${salt}${digest}"
    )

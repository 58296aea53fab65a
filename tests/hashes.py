"""Passwords that are hashed in a hundredth of the time: who may sign in is shown, not how slowly.

Hashing also lets everything else go first, which on a machine full of tests is minutes.
"""

import functools
from typing import Final

from argon2 import PasswordHasher

from taskchat.accounts import passwords

QUICK_MEMORY: Final = 1024
"""What a hash takes of it, in KiB."""


def hash_quickly() -> None:
    """From now on, in this process and its forks."""
    quick = functools.partial(PasswordHasher, time_cost=1, memory_cost=QUICK_MEMORY, parallelism=1)
    passwords.__dict__["PasswordHasher"] = quick

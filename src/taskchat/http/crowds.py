"""How much each user has under way on this process, in memory: it ends with the process."""

import contextlib
from collections import Counter
from collections.abc import Iterator, MutableMapping
from typing import Any, Final

from taskchat.errors import TooManyAtOnce
from taskchat.http.requests import HELD_KEY

RETRY_AFTER_S: Final = 1
"""How long a refused client waits: what is under way mostly ends within seconds."""


class Crowd:
    """Things of one kind that are under way, by user.

    Args:
        most: How many of one user's may be; 0 means any number.
        refusal: What a user is told who has as many; None if it says enough of itself.
    """

    def __init__(self, most: int, refusal: str | None = None) -> None:
        self._most = most
        self._refusal = refusal
        self._under_way: Counter[str] = Counter()

    def __len__(self) -> int:
        """How many users have anything under way."""
        return len(self._under_way)

    def under_way(self, user_id: str) -> int:
        """How many a user has."""
        return self._under_way[user_id]

    @contextlib.contextmanager
    def one_more(self, user_id: str) -> Iterator[None]:
        """One more of a user's, until the block ends.

        Raises:
            TooManyAtOnce: they have as many as they may.
        """
        if 0 < self._most <= self._under_way[user_id]:
            raise TooManyAtOnce(self._refusal, retry_after_s=RETRY_AFTER_S)
        self._under_way[user_id] += 1
        try:
            yield
        finally:
            self._under_way[user_id] -= 1
            if not self._under_way[user_id]:
                del self._under_way[user_id]

    def hold(self, scope: MutableMapping[str, Any], user_id: str) -> None:
        """The same for as long as the request of this scope is being answered.

        Raises:
            TooManyAtOnce: as above.
        """
        held: contextlib.ExitStack = scope[HELD_KEY]
        held.enter_context(self.one_more(user_id))


class Crowds:
    """What is limited so.

    Args:
        requests_max: Requests of one user.
        exports_max: Exports and imports of one user.
    """

    def __init__(self, *, requests_max: int, exports_max: int) -> None:
        self.requests = Crowd(requests_max)
        self.exports = Crowd(
            exports_max, "As much of yours is exported or imported as may be at once; wait for it."
        )

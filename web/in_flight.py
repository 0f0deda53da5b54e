"""How many requests a process answers at once, and how many of them for one user."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from rules.errors import TooManyRequestsError
from web.errors import TooManyInFlightError
from web.limits import ConnectionLimits


class InFlight:
    """Counts requests from their head to their answer; a body that arrives slowly is part of it.

    Whoever sends it is known by then, so that slow bodies of one user do not fill the process for
    others. Services are trusted with the whole process: each of them asks for many users.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self._most = limits.requests
        self._most_of_user = limits.user_requests
        self._count = 0
        self._of_users: Counter[str] = Counter()

    @property
    def count(self) -> int:
        """The requests that are under way."""
        return self._count

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count a request meanwhile. Raises TooManyInFlightError."""
        if self._count >= self._most:
            raise TooManyInFlightError
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1

    @contextmanager
    def of_user(self, user_id: str | None) -> Iterator[None]:
        """Count a request of a user, if it is one's, meanwhile. Raises TooManyRequestsError."""
        if user_id is None:
            yield
            return
        if self._of_users[user_id] >= self._most_of_user:
            raise TooManyRequestsError
        self._of_users[user_id] += 1
        try:
            yield
        finally:
            self._of_users[user_id] -= 1
            if not self._of_users[user_id]:
                del self._of_users[user_id]

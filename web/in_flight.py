"""How many requests a process answers at once, and how many of them for one user."""

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
        self._of_users: dict[str, int] = {}

    @property
    def count(self) -> int:
        """The requests that are under way."""
        return self._count

    def enter(self) -> None:
        """Count a request, which leaves later. Raises TooManyInFlightError."""
        if self._count >= self._most:
            raise TooManyInFlightError
        self._count += 1

    def leave(self) -> None:
        """Count a request no more."""
        self._count -= 1

    def enter_as(self, user_id: str | None) -> None:
        """Count a request of a user, if it is one's. Raises TooManyRequestsError."""
        if user_id is None:
            return
        under_way = self._of_users.get(user_id, 0)
        if under_way >= self._most_of_user:
            raise TooManyRequestsError
        self._of_users[user_id] = under_way + 1

    def leave_as(self, user_id: str | None) -> None:
        """Count a request of a user no more."""
        if user_id is None:
            return
        under_way = self._of_users.pop(user_id) - 1
        if under_way:
            self._of_users[user_id] = under_way

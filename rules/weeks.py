"""The weeks into which the changes are divided, so that old ones are dropped and not deleted.

A week is named by its Monday; it begins and ends at midnight UTC.
"""

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

A_WEEK: Final = timedelta(weeks=1)
#: So many are there before they begin: nobody has to look for as long.
MADE_AHEAD: Final = 4


def bounds(week: date) -> tuple[datetime, datetime]:
    """Return when a week begins, and the next."""
    begin = datetime.combine(week, time(), UTC)
    return begin, begin + A_WEEK


def missing(weeks: Collection[date], now: datetime) -> list[date]:
    """Return the weeks to make.

    None that has begun: what happened in it is elsewhere already, and PostgreSQL would refuse.
    """
    today = now.astimezone(UTC).date()
    monday = today - timedelta(days=today.weekday())
    ahead = (monday + number * A_WEEK for number in range(1, MADE_AHEAD + 1))
    return [week for week in ahead if week not in weeks]


def over(weeks: Collection[date], now: datetime, kept: timedelta) -> list[date]:
    """Return the weeks that ended so long ago."""
    return sorted(week for week in weeks if bounds(week)[1] <= now - kept)

"""The weeks of the changes: made before they begin, dropped when they are old."""

import itertools
from datetime import UTC, date, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from rules import weeks

MONDAY = date(2026, 11, 23)
MONTH = timedelta(days=30)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # hypothesis wants naive bounds


def at(day: date, hour: int = 12) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def test_a_week_goes_from_midnight_to_midnight_in_utc() -> None:
    begin, end = weeks.bounds(MONDAY)
    assert (begin.isoformat(), end.isoformat()) == (
        "2026-11-23T00:00:00+00:00",
        "2026-11-30T00:00:00+00:00",
    )


def test_the_next_weeks_are_missing_and_not_the_one_that_has_begun() -> None:
    ahead = [MONDAY + n * weeks.A_WEEK for n in range(1, 5)]
    assert weeks.missing((), at(MONDAY, 0)) == ahead
    assert weeks.missing((), at(MONDAY + timedelta(days=6), 23)) == ahead
    assert weeks.missing({ahead[0], ahead[2]}, at(MONDAY)) == [ahead[1], ahead[3]]
    assert weeks.missing(ahead, at(MONDAY)) == []


def test_which_week_it_is_does_not_depend_on_where_the_database_is() -> None:
    abroad = timezone(timedelta(hours=14))
    assert weeks.missing((), at(MONDAY, 0).astimezone(abroad)) == weeks.missing((), at(MONDAY, 0))


def test_a_week_is_over_when_its_last_change_is_old_enough() -> None:
    next_week = MONDAY + weeks.A_WEEK
    assert weeks.over([MONDAY], at(next_week, 0) + MONTH, MONTH) == [MONDAY]
    just_before = at(next_week, 0) + MONTH - timedelta(microseconds=1)
    assert weeks.over([MONDAY], just_before, MONTH) == []


@given(moments)
def test_what_is_made_has_not_begun_and_leaves_no_gap(now: datetime) -> None:
    made = weeks.missing((), now)
    begins = [weeks.bounds(week)[0] for week in made]
    assert len(made) == weeks.MADE_AHEAD
    assert now < begins[0] <= now + weeks.A_WEEK
    assert all(weeks.bounds(a)[1] == weeks.bounds(b)[0] for a, b in itertools.pairwise(made))
    assert weeks.over(made, now, MONTH) == []

"""Whatever is offered in whatever order, the soonest come out."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tables.codec import DEADLINE, TimerEntry, instant_bytes, key_of, pack
from tables.soonest import FIRST, LAST, Rank, Soonest

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def row(number: int, seconds: int) -> tuple[bytes, bytes]:
    batch = UUID(int=number)
    at = EPOCH + timedelta(seconds=seconds)
    return key_of(batch), pack(TimerEntry(batch, batch, 1, at, EPOCH), 8)


def rank(of: tuple[bytes, bytes]) -> Rank:
    return of[1][DEADLINE], of[0]


ROWS = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 20)), unique_by=lambda r: r[0])
RANKS = st.tuples(st.integers(0, 20), st.integers(0, 10_000)).map(
    lambda pair: (instant_bytes(EPOCH + timedelta(seconds=pair[0])), key_of(UUID(int=pair[1])))
)


@given(ROWS, st.integers(1, 10), st.integers(1, 7), RANKS | st.just(FIRST), RANKS | st.just(LAST))
def test_the_soonest_between_two_ranks_are_kept(
    given_rows: list[tuple[int, int]], limit: int, step: int, after: Rank, until: Rank
) -> None:
    rows = [row(*each) for each in given_rows]
    soonest = Soonest(limit, after, until)
    for start in range(0, len(rows), step):
        soonest.offer(rows[start : start + step], partition=start)
    fitting = sorted(rank(each) for each in rows if after < rank(each) <= until)
    assert [found for found, _, _ in soonest.found()] == fitting[:limit]
    assert soonest.truncated == (len(fitting) > limit)
    for (_, key), value, partition in soonest.found():
        assert (key, value) == rows[partition : partition + step][
            [k for k, _ in rows[partition : partition + step]].index(key)
        ]


@given(ROWS, st.integers(1, 10), st.integers(1, 7), st.sets(st.integers(0, 20)))
def test_what_belongs_elsewhere_takes_no_place(
    given_rows: list[tuple[int, int]], limit: int, step: int, foreign: set[int]
) -> None:
    rows = [row(*each) for each in given_rows]
    partition_of = {
        key: number % 21 for (number, _), (key, _) in zip(given_rows, rows, strict=True)
    }
    collector = Soonest(limit, belongs=lambda found: found[2] not in foreign)
    for start in range(0, len(rows), step):
        for one in rows[start : start + step]:
            collector.offer([one], partition_of[one[0]])
    own = sorted(rank(one) for one in rows if partition_of[one[0]] not in foreign)
    assert [found[0] for found in collector.found()] == own[:limit]
    assert collector.truncated == (len(own) > limit)

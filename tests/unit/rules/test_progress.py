"""Whatever a stream skips is found, and taken in order."""

from collections.abc import Sequence
from typing import Final, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.models import Record
from rules.progress import Hole, Piece, advanced, pieces, starting_point

PARTITIONS: Final = 2
LAST: Final = 12

#: A partition and an offset in it.
Place: TypeAlias = tuple[int, int]

offsets = st.integers(0, LAST)
places = st.tuples(st.integers(0, PARTITIONS - 1), offsets)


def record(partition: int, offset: int) -> Record:
    return Record("topic", partition, offset, 0, None, None, ())


def parted(records: Sequence[Record], reached: dict[int, int]) -> list[Hole | list[Place]]:
    """Return pieces in a form that is easily compared."""
    return [
        piece if isinstance(piece, Hole) else [(r.partition, r.offset) for r in piece]
        for piece in pieces(records, reached)
    ]


@pytest.mark.parametrize(
    ("stored", "begins", "start"),
    [(None, None, 0), (7, None, 7), (None, 7, 7), (7, 9, 7), (9, 7, 7), (9, 0, 0), (0, 9, 0)],
)
def test_whichever_is_lower_is_the_start(
    stored: int | None, begins: int | None, start: int
) -> None:
    assert starting_point(stored, begins) == start


def test_what_follows_stays_together() -> None:
    records = [record(0, 5), record(1, 2), record(0, 6), record(1, 3)]
    assert parted(records, {0: 5, 1: 2}) == [[(0, 5), (1, 2), (0, 6), (1, 3)]]


def test_a_hole_comes_before_what_showed_it() -> None:
    records = [record(0, 5), record(1, 4), record(0, 8)]
    assert parted(records, {0: 5, 1: 2}) == [
        [(0, 5)],
        Hole(1, 2, 4),
        [(1, 4)],
        Hole(0, 6, 8),
        [(0, 8)],
    ]


def test_a_hole_before_everything() -> None:
    assert parted([record(0, 5)], {0: 2}) == [Hole(0, 2, 5), [(0, 5)]]


def test_what_comes_again_is_handed_on_and_is_no_hole() -> None:
    records = [record(0, 4), record(0, 0), record(0, 1), record(0, 5)]
    assert parted(records, {0: 5}) == [[(0, 4), (0, 0), (0, 1), (0, 5)]]
    assert advanced(records, {0: 5}) == {0: 6}
    assert advanced(records[:3], {0: 9}) == {0: 9}


def test_only_what_was_read_advances() -> None:
    assert advanced([record(1, 3)], {0: 5, 1: 3}) == {1: 4}
    assert advanced([], {0: 5}) == {}


@given(
    log=st.frozensets(places, min_size=1),
    starts=st.tuples(offsets, offsets),
    data=st.data(),
)
def test_nothing_is_missing_below_what_is_accounted_for(
    log: frozenset[Place], starts: tuple[int, int], data: st.DataObject
) -> None:
    """The stream may skip, repeat and go back as it likes; the log has gaps of its own."""
    delivered = data.draw(st.lists(st.sampled_from(sorted(log)), max_size=20))
    reached = dict(enumerate(starts))
    taken = [place for place in sorted(log) if place[1] < starts[place[0]]]
    records = [record(*place) for place in delivered]
    handed_on: list[Place] = []
    for piece in pieces(records, reached):
        taken += _take(piece, log, reached, handed_on)
        for partition, below in reached.items():
            assert {p for p in log if p[0] == partition and p[1] < below} <= set(taken)
    assert handed_on == delivered
    _assert_in_order(taken)


def _take(
    piece: Piece, log: frozenset[Place], reached: dict[int, int], handed_on: list[Place]
) -> list[Place]:
    """Do with a piece what an agent does: read a hole in the log, take records."""
    if isinstance(piece, Hole):
        assert reached[piece.partition] == piece.begin < piece.end
        reached[piece.partition] = piece.end
        return sorted(p for p in log if p[0] == piece.partition and piece.begin <= p[1] < piece.end)
    reached.update(advanced(piece, reached))
    places = [(r.partition, r.offset) for r in piece]
    handed_on += places
    return places


def _assert_in_order(taken: Sequence[Place]) -> None:
    """Nothing is taken for the first time after something that stands behind it."""
    first = list(dict.fromkeys(taken))
    for partition in range(PARTITIONS):
        of_one = [place for place in first if place[0] == partition]
        assert of_one == sorted(of_one)

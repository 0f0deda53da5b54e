"""Pages of several workers become pages of all: each entry once, in order."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tables.entries import Holding, TableEntry
from tests.integration.web.fakes import START
from web.inspection.answers import PageAnswer, Position, position
from web.inspection.merge import covered, merge_pages, owners

WORKERS = ("w1", "w2", "w3")
CLASS_ID = UUID(int=0)


def at(batch: int, minutes: int, partition: int, worker: str = "") -> TableEntry:
    due = START + timedelta(minutes=minutes)
    return TableEntry(UUID(int=batch), CLASS_ID, 1, due, START, partition, worker)


def page_of(
    holding: Holding, entries: Sequence[TableEntry], limit: int, after: Position | None
) -> PageAnswer:
    """Answer as a worker does."""
    behind = sorted((e for e in entries if after is None or position(e) > after), key=position)
    return PageAnswer(holding, behind[:limit], len(behind) > limit)


@st.composite
def clusters(draw: st.DrawFn) -> tuple[list[TableEntry], dict[int, list[str]], set[str]]:
    """Return entries, who holds each partition (a few have two), and who has recovered."""
    partitions = range(draw(st.integers(1, 5)))
    one_or_two = st.lists(st.sampled_from(WORKERS), min_size=1, max_size=2, unique=True)
    held = {partition: draw(one_or_two) for partition in partitions}
    places = st.tuples(st.integers(0, 6), st.sampled_from(partitions))
    entries = [at(n, *place) for n, place in enumerate(draw(st.lists(places, max_size=40)))]
    return entries, held, draw(st.sets(st.sampled_from(WORKERS)))


@given(cluster=clusters(), limit=st.integers(1, 7))
def test_paging_gives_each_entry_once_and_in_order(
    cluster: tuple[list[TableEntry], dict[int, list[str]], set[str]], limit: int
) -> None:
    entries, held, recovered = cluster
    holdings = {
        worker: Holding(
            worker, [p for p, names in held.items() if worker in names], worker in recovered
        )
        for worker in WORKERS
    }
    own = {
        worker: [
            replace(entry, worker=worker) for entry in entries if worker in held[entry.partition]
        ]
        for worker in WORKERS
    }
    seen: list[TableEntry] = []
    after: Position | None = None
    for _ in range(2 * len(entries) + 2):
        pages = [page_of(holdings[w], own[w], limit, after) for w in WORKERS]
        shown, following = merge_pages(pages, limit)
        assert len(shown) <= limit
        seen += shown
        if following is None:
            break
        assert after is None or following > after
        after = following
    else:
        raise AssertionError("the pages have no end")
    expected = sorted(entries, key=position)
    assert [e.batch_id for e in seen] == [e.batch_id for e in expected]
    counts = owners(holdings.values())
    assert all(entry.worker == counts[entry.partition] for entry in seen)


def test_nothing_is_shown_that_something_unknown_may_stand_before() -> None:
    early = PageAnswer(Holding("w1", [0], recovered=True), [at(1, 1, 0), at(2, 2, 0)], more=True)
    late = PageAnswer(Holding("w2", [1], recovered=True), [at(3, 9, 1)], more=False)
    shown, following = merge_pages([early, late], 10)
    assert [entry.batch_id.int for entry in shown] == [1, 2]
    assert following == position(early.entries[-1])


def test_a_stale_copy_is_not_shown_beside_the_real_one() -> None:
    # Taken over by w2, which has set a later deadline since: not to be seen twice.
    stale = PageAnswer(Holding("w1", [0], recovered=False), [at(1, 1, 0, "w1")], more=False)
    real = PageAnswer(Holding("w2", [0], recovered=True), [at(1, 5, 0, "w2")], more=False)
    shown, following = merge_pages([stale, real], 10)
    assert [(entry.worker, following) for entry in shown] == [("w2", None)]


def test_who_has_not_recovered_gives_way() -> None:
    found = owners([Holding("w1", [0, 1], recovered=False), Holding("w2", [1], recovered=True)])
    assert found == {0: "w1", 1: "w2"}
    both = owners([Holding("w2", [0], recovered=True), Holding("w1", [0], recovered=True)])
    assert both == {0: "w1"}


def test_what_still_recovers_covers_nothing() -> None:
    recovered, recovering = (Holding("w", [0, 1], recovered=r) for r in (True, False))
    rest = Holding("v", [2], recovered=True)
    assert covered([recovered, rest], 3)
    assert not covered([recovering, rest], 3)
    assert not covered([recovered], 3)
    assert not covered([], 1)


def test_no_workers_no_entries() -> None:
    assert merge_pages([], 10) == ([], None)

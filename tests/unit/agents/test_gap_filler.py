"""An agent gets every message of its topic, in order, whatever the stream does on the way."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from agents.consumers import gap_filler
from agents.consumers.gap_filler import QUIET_LOOKS, GapFiller
from agents.consumers.hole_reader import Handle, HoleReader, Reread
from agents.kafka.retention import LostOffsets
from rules.errors import StoreUnavailableError
from rules.models import Record, Undecodable
from rules.progress import Hole, Progress
from telemetry.metrics import Metrics

GROUP: Final = "group"
TOPIC: Final = "topic"
AT_ONCE: Final = 3
LOST: Final = "deleted before it was read"


def record(partition: int, offset: int) -> Record:
    return Record(TOPIC, partition, offset, 0, None, None, ())


class Stream:
    """What Faust says of itself."""

    topic = TOPIC

    def __init__(self) -> None:
        self.generation = 0
        self.stable = True
        self.begin: dict[int, int] = {}
        self.ends: dict[int, int | None] = {}
        self.clear: dict[int, tuple[int, int]] = {}
        self.held: set[int] = set()

    def partitions(self) -> list[int]:
        return sorted(self.ends)

    def begins(self, partition: int) -> int | None:
        return self.begin.get(partition)

    def end(self, partition: int) -> int | None:
        return self.ends[partition]

    def held_back(self, partition: int) -> bool:
        return partition in self.held

    def clear_to(self, partition: int, offset: int) -> int:
        begin, end = self.clear.get(partition, (offset, offset))
        return end if begin <= offset < end else offset


class World:
    """A log, a database, and what was taken from the one into the other."""

    def __init__(self) -> None:
        self.log: dict[int, list[int]] = {0: [], 1: []}
        #: Where retention has left the beginning of a partition.
        self.kept_from: dict[int, int] = {}
        self.stream = Stream()
        self.progress: dict[int, int] = {}
        self.taken: list[tuple[int, int]] = []
        self.reads: list[Hole] = []
        self.metrics = Metrics()
        self.away = 0
        self.sees_gaps = False
        self.filler = self.worker()

    def worker(self) -> GapFiller:
        return GapFiller(
            "agent",
            GROUP,
            self.stream,
            self,
            self,
            cast("HoleReader", self),
            LostOffsets(self.metrics, {TOPIC: "agent"}),
            self.metrics,
        )

    async def handle_all(self, *places: tuple[int, int]) -> None:
        await self.filler.handle([self.fetched(*place) for place in places])

    def fetched(self, partition: int, offset: int) -> Record:
        """Return a record; the fetcher says where the one before it is, if it has seen that."""
        fetched = record(partition, offset)
        before = max((n for n in self.log[partition] if n < offset), default=-1)
        return replace(fetched, clear_from=before + 1) if self.sees_gaps else fetched

    async def look(self, times: int = QUIET_LOOKS) -> None:
        for _ in range(times):
            await self.filler._look()

    def holes(self, content: str) -> float:
        labels = {"agent": "agent", "content": content}
        name = "class_management_stream_holes_total"
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    def lost(self) -> float:
        name = "class_management_offsets_lost_total"
        return self.metrics.registry.get_sample_value(name, {"agent": "agent"}) or 0.0

    # --- what it is to GapFiller: the handler, the progress and the log --------------------------

    async def handle(self, records: Sequence[Record], reached: Sequence[Progress]) -> None:
        self.taken += [(r.partition, r.offset) for r in records]
        for one in reached:
            assert (one.group, one.topic) == (GROUP, TOPIC)
            self.progress[one.partition] = one.next_offset
            self.assert_complete(one.partition, one.next_offset)

    async def stored(self, group: str, topic: str) -> dict[int, int]:
        assert (group, topic) == (GROUP, TOPIC)
        if self.away:
            self.away -= 1
            raise StoreUnavailableError
        return dict(self.progress)

    async def forget(self, group: str, topic: str) -> None:
        assert (group, topic) == (GROUP, TOPIC)
        self.progress = dict.fromkeys(self.progress, 0)

    async def read(self, topic: str, hole: Hole, handle: Handle) -> Reread:
        assert topic == TOPIC
        self.reads.append(hole)
        found = [n for n in self.log[hole.partition] if hole.begin <= n < hole.end]
        for first in range(0, len(found), AT_ONCE):
            await handle([record(hole.partition, n) for n in found[first : first + AT_ONCE]])
        begin = self.kept_from.get(hole.partition, 0)
        kept_from = min(begin, hole.end)
        lost = [Hole(hole.partition, hole.begin, kept_from)] if kept_from > hole.begin else []
        return Reread(len(found), lost)

    def assert_complete(self, partition: int, below: int) -> None:
        """Check that what progress says is so."""
        wanted = {(partition, n) for n in self.log[partition] if n < below}
        assert wanted <= set(self.taken)


async def test_gaps_that_the_fetcher_has_seen_are_no_holes(world: World) -> None:
    """As with markers and aborted records of transactions, before a record and behind the last."""
    world.log[0] = [0, 4]
    seen = replace(record(0, 4), clear_from=1)
    await world.filler.handle([record(0, 0), seen])
    world.stream.ends, world.stream.clear = {0: 7}, {0: (5, 7)}
    await world.look()
    assert world.reads == []
    assert world.taken == [(0, 0), (0, 4)]


async def test_what_the_stream_drops_before_such_a_gap_is_a_hole(world: World) -> None:
    world.log[0] = [0, 1, 4]
    seen = replace(record(0, 4), clear_from=2)
    await world.filler.handle([record(0, 0), seen])
    assert world.reads == [Hole(0, 1, 2)]
    assert world.taken == [(0, 0), (0, 1), (0, 4)]
    # A gap behind the last record says nothing of what was dropped before that.
    world.log[0].append(5)
    world.stream.ends, world.stream.clear = {0: 8}, {0: (6, 8)}
    await world.look()
    assert world.taken[-1] == (0, 5)


async def test_a_partition_that_waits_for_another_fetch_is_not_stalled(world: World) -> None:
    world.log[0], world.stream.ends, world.stream.held = [0, 1], {0: 2}, {0}
    await world.look()
    assert world.reads == []
    world.stream.held = set()
    await world.look()
    assert world.taken == [(0, 0), (0, 1)]


async def test_a_batch_passed_over_accounts_for_all_its_offsets(world: World) -> None:
    batch = Undecodable(1, "fault")
    await world.filler.handle(
        [record(0, 0), replace(record(0, 3), clear_from=1, undecodable=batch)]
    )
    assert world.reads == []
    assert world.progress == {0: 4}


async def test_what_retention_deleted_unread_is_told_once(world: World) -> None:
    world.progress, world.stream.begin = {0: 2}, {0: 1}
    world.filler = world.worker()
    world.log[0], world.kept_from = [6], {0: 5}
    with capture_logs() as lines:
        await world.handle_all((0, 6))
        world.filler = world.worker()
        world.stream.ends = {0: 7}
        await world.look()
    told = [(line["begin"], line["end"]) for line in lines if line["event"] == LOST]
    # Not from Kafka's offset, which may be lower than the progress.
    assert told == [(2, 5)]
    assert world.lost() == 3
    assert world.progress == {0: 7}


async def test_a_loss_is_told_once_where_nothing_follows_it(world: World) -> None:
    world.progress, world.kept_from, world.stream.ends = {0: 2}, {0: 5}, {0: 5}
    for _ in range(2):
        world.filler = world.worker()
        await world.look()
    assert world.lost() == 3
    assert world.progress == {0: 5}


@pytest.mark.parametrize(("others", "lost"), [({}, 0), ({1: 1}, 5)])
async def test_what_was_deleted_before_the_first_start_is_no_loss(
    world: World, others: dict[int, int], lost: int
) -> None:
    world.progress, world.kept_from, world.stream.ends = others, {0: 5}, {0: 5}
    world.filler = world.worker()
    await world.look()
    assert world.lost() == lost


async def test_compaction_and_markers_are_no_loss(world: World) -> None:
    world.progress, world.log[0] = {0: 2}, [8]
    world.filler = world.worker()
    await world.handle_all((0, 8))
    assert (world.lost(), world.holes("nothing")) == (0, 1)


@pytest.fixture
def world() -> World:
    return World()


async def test_what_comes_in_order_is_taken_as_it_comes(world: World) -> None:
    await world.handle_all((0, 0), (1, 0), (0, 1))
    await world.handle_all((1, 1))
    assert world.taken == [(0, 0), (1, 0), (0, 1), (1, 1)]
    assert world.progress == {0: 2, 1: 2}
    assert world.reads == []


async def test_a_hole_is_read_before_what_follows_it(world: World) -> None:
    world.log[0] = [0, 1, 2, 3, 4, 5]
    await world.handle_all((0, 0), (0, 5))
    assert world.taken == [(0, n) for n in range(6)]
    assert world.progress == {0: 6}
    assert world.holes("messages") == 1


async def test_a_gap_in_the_log_itself_is_looked_into_once(world: World) -> None:
    world.log[0] = [0, 5, 6]
    await world.handle_all((0, 0), (0, 5))
    await world.handle_all((0, 6))
    assert world.taken == [(0, 0), (0, 5), (0, 6)]
    assert world.reads == [Hole(0, 1, 5)]
    assert world.holes("nothing") == 1


async def test_the_first_message_of_all_may_be_behind_a_hole(world: World) -> None:
    world.log[0] = [0, 1, 2]
    await world.handle_all((0, 2))
    assert world.taken == [(0, 0), (0, 1), (0, 2)]


async def test_a_new_worker_starts_from_what_is_stored(world: World) -> None:
    world.log[0] = [0, 1, 2, 3]
    await world.handle_all((0, 0))
    world.stream.begin[0] = 3  # Kafka's offsets ran ahead
    world.filler = world.worker()
    await world.handle_all((0, 3))
    assert world.taken == [(0, 0), (0, 1), (0, 2), (0, 3)]


async def test_without_progress_kafkas_offset_is_the_start(world: World) -> None:
    world.log[0] = [0, 1, 2, 3]
    world.taken = [(0, 0), (0, 1)]  # by a version that kept no progress
    world.stream.begin[0] = 2
    await world.handle_all((0, 2), (0, 3))
    assert world.taken == [(0, 0), (0, 1), (0, 2), (0, 3)]
    assert world.reads == []


async def test_another_assignment_asks_the_database_again(world: World) -> None:
    world.log[0] = list(range(10))
    await world.handle_all((0, 0))
    world.progress[0] = 8  # another worker had the partition meanwhile
    world.taken += [(0, n) for n in range(1, 8)]
    world.stream.generation += 1
    await world.handle_all((0, 8))
    assert world.reads == []


async def test_what_comes_again_is_handed_on(world: World) -> None:
    await world.handle_all((0, 0), (0, 1))
    await world.handle_all((0, 0), (0, 1), (0, 2))
    assert world.taken == [(0, 0), (0, 1), (0, 0), (0, 1), (0, 2)]
    assert world.progress == {0: 3}


async def test_a_topic_made_anew_is_read_from_its_beginning(world: World) -> None:
    world.progress[0] = 100
    world.log[0] = [0, 1, 2]
    world.stream.begin[0] = 0
    await world.handle_all((0, 1))
    assert world.taken == [(0, 0), (0, 1)]
    assert world.progress == {0: 2}


async def test_a_topic_made_anew_under_a_running_worker_is_read_from_its_beginning(
    world: World,
) -> None:
    await world.handle_all((0, 0), (0, 1), (0, 2))
    world.taken.clear()
    world.log[0] = [0]
    world.stream.ends[0] = 1
    await world.look()
    assert world.taken == [(0, 0)]
    assert world.progress == {0: 1}


async def test_a_topic_made_anew_whose_log_is_longer_is_read_whole(world: World) -> None:
    """The stream goes on where it was in the old one; only the topic's id shows the rest."""
    await world.handle_all((0, 0), (0, 1), (0, 2))
    world.taken.clear()
    world.log[0] = [0, 1, 2, 3, 4]
    world.filler.topic_made_anew()
    await world.handle_all((0, 3))
    assert world.taken == [(0, 0), (0, 1), (0, 2), (0, 3)]
    world.stream.ends[0] = 5
    await world.look()
    assert world.taken[4:] == [(0, 4)]
    assert world.progress == {0: 5}


async def test_what_is_known_of_a_topic_made_anew_outlasts_a_rebalance(world: World) -> None:
    await world.handle_all((0, 0), (0, 1), (0, 2))
    world.taken.clear()
    world.log[0] = [0, 1, 2, 3, 4]
    world.filler.topic_made_anew()
    world.stream.ends[0] = None
    await world.filler._look()
    world.stream.begin[0] = 3  # committed in the old topic
    world.filler = world.worker()
    await world.handle_all((0, 3))
    assert world.taken == [(0, 0), (0, 1), (0, 2), (0, 3)]


async def test_a_database_that_is_away_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.consumers.retry.FIRST_PAUSE_SECONDS", 0.001)
    world.away = 3
    await world.handle_all((0, 0))
    assert world.taken == [(0, 0)]


async def test_what_was_skipped_last_is_found_without_a_message_behind_it(world: World) -> None:
    world.log[0] = [0, 1, 2]
    world.stream.ends = {0: 3, 1: None}
    await world.handle_all((0, 0))
    await world.look(QUIET_LOOKS - 1)
    assert world.taken == [(0, 0)]
    await world.look(1)
    assert world.taken == [(0, 0), (0, 1), (0, 2)]
    await world.look()
    assert len(world.reads) == 1


async def test_a_partition_that_moves_is_left_to_the_stream(world: World) -> None:
    world.log[0] = list(range(10))
    world.stream.ends = {0: 10}
    for offset in range(10):
        await world.handle_all((0, offset))
        await world.look(QUIET_LOOKS - 1)
    assert world.reads == []


async def test_marks_at_the_end_of_the_log_are_looked_into_once(world: World) -> None:
    world.log[0] = [0]
    world.stream.ends = {0: 2}
    await world.handle_all((0, 0))
    await world.look(5 * QUIET_LOOKS)
    assert world.reads == [Hole(0, 1, 2)]
    await world.handle_all((0, 2))
    assert world.reads == [Hole(0, 1, 2)]


async def test_the_lag_is_what_is_not_stored_yet_of_what_the_log_has(world: World) -> None:
    world.stream.begin, world.stream.ends = {0: 2, 1: 0}, {0: 5, 1: None}
    assert world.filler.lag() == {(TOPIC, 0): 3}
    world.log[0] = [2, 3]
    world.progress[0] = 2
    await world.handle_all((0, 2), (0, 3))
    assert world.filler.lag() == {(TOPIC, 0): 1}
    # Markers of transactions are no messages.
    world.stream.clear = {0: (4, 5)}
    assert world.filler.lag() == {(TOPIC, 0): 0}
    world.stream.ends = {0: 1}
    assert world.filler.lag() == {(TOPIC, 0): 0}


async def test_nobody_looks_while_a_rebalance_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gap_filler, "LOOK_SECONDS", 0.001)
    world.log[0] = [0]
    world.stream.ends = {0: 1}
    world.stream.stable = False
    looking = asyncio.create_task(world.filler.run())
    await asyncio.sleep(0.1)
    assert world.reads == []
    world.stream.stable = True
    while not world.taken:  # noqa: ASYNC110  # what changes it does not know of this test
        await asyncio.sleep(0.001)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)


steps = st.lists(
    st.one_of(
        st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20)), min_size=1, max_size=6),
        st.dictionaries(st.integers(0, 1), st.integers(0, 25), max_size=2),
        st.just("restart"),
    ),
    max_size=12,
)


@settings(deadline=None)
@given(
    log=st.fixed_dictionaries({n: st.frozensets(st.integers(0, 20)) for n in (0, 1)}),
    told=steps,
    sees_gaps=st.booleans(),
)
def test_nothing_is_lost_whatever_the_stream_does(
    log: dict[int, frozenset[int]], told: list[Any], *, sees_gaps: bool
) -> None:
    """Messages are skipped and repeated; offsets that Kafka has committed are anything."""

    async def play() -> None:
        world = World()
        world.sees_gaps = sees_gaps
        world.log = {partition: sorted(offsets) for partition, offsets in log.items()}
        world.stream.begin = {0: 0, 1: 0}
        world.stream.ends = {p: max(offsets, default=-1) + 1 for p, offsets in log.items()}
        for step in told:
            if step == "restart":
                world.filler = world.worker()
            elif isinstance(step, dict):
                world.stream.generation += 1
                # Before anything is stored, Kafka's offset is all there is to begin from.
                world.stream.begin = {p: n for p, n in step.items() if p in world.progress}
            else:
                await world.handle_all(*(place for place in step if place[1] in log[place[0]]))
        await world.look()
        for partition in log:
            world.assert_complete(partition, 21)

    asyncio.run(play())

"""Merges the answers of all workers. Pure: it asks no worker."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Generic
from uuid import UUID

from tables.entries import Holding, Reconciliation, TableEntry, TableReport, WorkerTable
from tables.names import PENDING_ASSOCIATIONS
from web.inspection.answers import AnswerT, DriftAnswer, PageAnswer, Position, TableAnswer, position

MAX_EXAMPLES: Final = 10


@dataclass(frozen=True, slots=True)
class WorkerAnswer(Generic[AnswerT]):
    """A worker's answer, if it gave one, and the partitions that it is known to hold.

    `is_older`: it is of a version that does not know the question.
    """

    worker: str
    partitions: Sequence[int]
    answer: AnswerT | None
    is_older: bool = False


@dataclass(frozen=True, slots=True)
class Answers(Generic[AnswerT]):
    """The answers of all workers, and the number of the table's partitions."""

    workers: Sequence[WorkerAnswer[AnswerT]]
    partitions: int

    @property
    def given(self) -> list[AnswerT]:
        """The answers without the silent workers."""
        return [one.answer for one in self.workers if one.answer]

    @property
    def complete(self) -> bool:
        """Whether every worker answered, and each partition is held by one."""
        given = self.given
        holdings = [answer.holding for answer in given]
        return len(given) == len(self.workers) and covered(holdings, self.partitions)


@dataclass(frozen=True, slots=True)
class MergedPage:
    """Entries by ascending (`confirm_by`, `batch_id`); the next page follows `next`.

    `complete` is False if a worker did not answer, or none answered for a partition.
    """

    entries: Sequence[TableEntry]
    next: Position | None
    complete: bool


@dataclass(frozen=True, slots=True)
class WorkerDrift:
    """How a worker's part differs from the database; `last` is None if it never compared."""

    worker: str
    reachable: bool
    last: Reconciliation | None


@dataclass(frozen=True, slots=True)
class Drift:
    """How the table differs; `complete` is False if a worker did not answer or never compared."""

    complete: bool
    workers: Sequence[WorkerDrift]

    @property
    def comparisons(self) -> list[Reconciliation]:
        """The workers' comparisons, where there is one."""
        return [worker.last for worker in self.workers if worker.last]

    @property
    def examples(self) -> Sequence[UUID]:
        """Some batches that differ."""
        found = (example for one in self.comparisons for example in one.examples)
        return list(dict.fromkeys(found))[:MAX_EXAMPLES]

    @property
    def totals(self) -> dict[str, int]:
        """The sums over all workers."""
        names = ("checked", "missing", "stale", "different", "mended")
        return {name: sum(getattr(one, name) for one in self.comparisons) for name in names}


def merge_tables(answers: Answers[TableAnswer]) -> TableReport:
    """Return the report over all workers."""
    workers = [one.answer.table if one.answer else _silent(one) for one in answers.workers]
    entries = sum(worker.entries for worker in workers)
    return TableReport(PENDING_ASSOCIATIONS, entries, answers.partitions, answers.complete, workers)


def merge_drift(answers: Answers[DriftAnswer]) -> Drift:
    """Return the drift of the whole table."""
    workers = [
        WorkerDrift(one.worker, one.answer is not None, one.answer.last if one.answer else None)
        for one in answers.workers
    ]
    return Drift(answers.complete and all(worker.last for worker in workers), workers)


def merged_page(answers: Answers[PageAnswer], limit: int) -> MergedPage:
    """Return a page of all entries, next deadlines first."""
    entries, following = merge_pages(answers.given, limit)
    return MergedPage(entries, following, answers.complete)


def covered(holdings: Iterable[Holding], partitions: int) -> bool:
    """Whether these workers hold the whole table."""
    held = {p for holding in holdings if holding.recovered for p in holding.partitions}
    return held.issuperset(range(partitions))


def owners(holdings: Iterable[Holding]) -> dict[int, str]:
    """Return the one worker that counts for each partition.

    During a rebalance two may claim one; every page must use the same one, or an entry would show
    twice. A worker that is still recovering knows less than the one it takes over from.
    """
    found: dict[int, str] = {}
    for holding in sorted(holdings, key=lambda holding: (not holding.recovered, holding.worker)):
        for partition in holding.partitions:
            found.setdefault(partition, holding.worker)
    return found


def merge_pages(
    pages: Sequence[PageAnswer], limit: int
) -> tuple[Sequence[TableEntry], Position | None]:
    """Merge a page of each worker; return a page of all, and the position that the next follows.

    Nothing after the end of a worker's unfinished page can be shown yet: that worker may have more
    entries before it. So a page may be short, or even empty, without being the last one.
    """
    end = min((position(page.entries[-1]) for page in pages if page.more), default=None)
    counts = owners(page.holding for page in pages)
    found = {
        entry.batch_id: entry
        for page in pages
        for entry in page.entries
        if counts.get(entry.partition, page.holding.worker) == page.holding.worker
        and (end is None or position(entry) <= end)
    }
    shown = sorted(found.values(), key=position)
    if len(shown) > limit:
        return shown[:limit], position(shown[limit - 1])
    return shown, end


def _silent(worker: WorkerAnswer[TableAnswer]) -> WorkerTable:
    """Return what is known about a worker that does not answer; its figures are not."""
    return WorkerTable(
        worker.worker, worker.partitions, 0, recovered=False, changelog_lag=0, reachable=False
    )

"""Merges the answers of all workers. Pure: it asks none of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Generic
from uuid import UUID

from tables.entries import Holding, Reconciliation, TableEntry, TableReport, WorkerTable
from tables.names import PENDING_ASSOCIATIONS
from web.inspection.answers import AnswerT, DriftPart, PagePart, Position, TablePart, position

MAX_EXAMPLES: Final = 10


@dataclass(frozen=True, slots=True)
class WorkerAnswer(Generic[AnswerT]):
    """A worker's answer, None where it gave none; `partitions` are those it is known to hold."""

    worker: str
    partitions: Sequence[int]
    answer: AnswerT | None


@dataclass(frozen=True, slots=True)
class Answers(Generic[AnswerT]):
    """The answers of all workers, and how many partitions the table has."""

    workers: Sequence[WorkerAnswer[AnswerT]]
    partitions: int

    @property
    def given(self) -> list[AnswerT]:
        """The answers of those that gave one."""
        return [one.answer for one in self.workers if one.answer]

    @property
    def complete(self) -> bool:
        """Whether every worker answered, and one answered for each partition."""
        given = self.given
        holdings = [answer.holding for answer in given]
        return len(given) == len(self.workers) and covered(holdings, self.partitions)


@dataclass(frozen=True, slots=True)
class MergedPage:
    """Entries by ascending (`confirm_by`, `batch_id`), and behind which one the next page begins.

    `complete` is False where a worker did not answer, or none answered for a partition.
    """

    entries: Sequence[TableEntry]
    next: Position | None
    complete: bool


@dataclass(frozen=True, slots=True)
class WorkerDrift:
    """How one worker's part differs from the database; `last` is None where it has not looked."""

    worker: str
    reachable: bool
    last: Reconciliation | None


@dataclass(frozen=True, slots=True)
class Drift:
    """How the table differs from the database.

    `complete` is False where a worker did not answer or has never compared.
    """

    complete: bool
    workers: Sequence[WorkerDrift]

    @property
    def comparisons(self) -> list[Reconciliation]:
        """Those of the workers that have made one."""
        return [worker.last for worker in self.workers if worker.last]

    @property
    def examples(self) -> Sequence[UUID]:
        """Some of the batches that differ."""
        found = (example for one in self.comparisons for example in one.examples)
        return list(dict.fromkeys(found))[:MAX_EXAMPLES]

    @property
    def totals(self) -> dict[str, int]:
        """What all workers found together."""
        names = ("checked", "missing", "stale", "different", "mended")
        return {name: sum(getattr(one, name) for one in self.comparisons) for name in names}


def merge_tables(answers: Answers[TablePart]) -> TableReport:
    """Return the table over all of its workers."""
    workers = [one.answer.table if one.answer else _silent(one) for one in answers.workers]
    entries = sum(worker.entries for worker in workers)
    return TableReport(PENDING_ASSOCIATIONS, entries, answers.partitions, answers.complete, workers)


def merge_drift(answers: Answers[DriftPart]) -> Drift:
    """Return how the whole table differs from the database."""
    workers = [
        WorkerDrift(one.worker, one.answer is not None, one.answer.last if one.answer else None)
        for one in answers.workers
    ]
    return Drift(answers.complete and all(worker.last for worker in workers), workers)


def merged_page(answers: Answers[PagePart], limit: int) -> MergedPage:
    """Return a page of all entries, soonest due first."""
    entries, following = merge_pages(answers.given, limit)
    return MergedPage(entries, following, answers.complete)


def covered(holdings: Iterable[Holding], partitions: int) -> bool:
    """Whether these workers have the whole table."""
    held = {p for holding in holdings if holding.recovered for p in holding.partitions}
    return held.issuperset(range(partitions))


def owners(holdings: Iterable[Holding]) -> dict[int, str]:
    """Return the one worker that counts for each partition.

    During a rebalance two may claim one; it has to be the same one for every page, or else an
    entry would show twice. One that still recovers knows less than the one it takes over from.
    """
    found: dict[int, str] = {}
    for holding in sorted(holdings, key=lambda holding: (not holding.recovered, holding.worker)):
        for partition in holding.partitions:
            found.setdefault(partition, holding.worker)
    return found


def merge_pages(
    pages: Sequence[PagePart], limit: int
) -> tuple[Sequence[TableEntry], Position | None]:
    """Merge a page of each worker; return a page of all, and where the next one begins.

    Nothing behind the end of a page that goes on can be shown yet: entries of that worker that
    are not known yet may come before it. So a page may be short, or even empty, without being
    the last one.
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


def _silent(worker: WorkerAnswer[TablePart]) -> WorkerTable:
    """Return what is known of a worker that does not answer; the figures are not."""
    return WorkerTable(
        worker.worker, worker.partitions, 0, recovered=False, changelog_lag=0, reachable=False
    )

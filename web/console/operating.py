"""What one page shows of all workers and of the store, and what of it is not as it should be."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

from store.protocols.overview import Due, Overview
from telemetry.health import OK
from telemetry.status import Status
from web.console.advice import Trouble
from web.console.figures import Reading
from web.console.languages import Speech
from web.inspection.answers import StatusAnswer
from web.inspection.merge import Answers, WorkerAnswer

#: From here on messages of a topic that are not handled yet are many.
MANY: Final = 1_000
#: An event that waits for longer does not do so because of a burst.
OUTBOX_LATE: Final = timedelta(minutes=1)
#: Numbers that are older say how old they are.
FRESH: Final = timedelta(seconds=10)
HOURS: Final = 24

NAMES: Final = {"database": "PostgreSQL", "kafka": "Kafka", "redis": "Redis"}


@dataclass(frozen=True, slots=True)
class Process:
    """A worker, or this process; `status` is None of one that did not say.

    `recovered` is None in a process without a table; `is_older`: it does not know the question.
    """

    name: str
    partitions: Sequence[int]
    recovered: bool | None
    status: Status | None
    is_older: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a dependency, as one process sees it."""

    process: str
    state: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Need:
    """A dependency, as all processes see it; `since`: all that say so have it since then."""

    name: str
    asked: int
    since: datetime | None
    faults: Sequence[Fault]

    @property
    def title(self) -> str:
        """What it is."""
        return NAMES.get(self.name, self.name)


@dataclass(frozen=True, slots=True)
class Concern:
    """Something that is not as it should be, in words."""

    trouble: Trouble
    text: str
    link: str | None = None


@dataclass(frozen=True)
class Scene:
    """All that is known at `now`."""

    now: datetime
    processes: Sequence[Process]
    complete: bool
    reading: Reading

    @property
    def told(self) -> list[Status]:
        """What the processes say of themselves."""
        return [one.status for one in self.processes if one.status]

    @property
    def overview(self) -> Overview | None:
        """The store in numbers, the last ones where it is away."""
        return self.reading.overview

    @property
    def old(self) -> timedelta | None:
        """How old the store's numbers are, if they are not fresh."""
        at = self.reading.at
        return self.now - at if at and self.now - at > FRESH else None

    @cached_property
    def needs(self) -> list[Need]:
        """What the processes depend on, in the order of NAMES."""
        found: defaultdict[str, list[Fault]] = defaultdict(list)
        for process in self.processes:
            for one in process.status.dependencies if process.status else ():
                found[one.name].append(Fault(process.name, one.state, one.since))
        return [
            _need(name, found[name]) for name in (*NAMES, *(found.keys() - NAMES)) if found[name]
        ]

    @cached_property
    def lag(self) -> dict[str, int]:
        """Messages of each topic that are not handled yet."""
        places: dict[tuple[str, int], int] = {}
        for one in (lag for status in self.told for lag in status.lag):
            place = one.topic, one.partition
            places[place] = max(one.messages, places.get(place, 0))
        sums: defaultdict[str, int] = defaultdict(int)
        for (topic, _), messages in sorted(places.items()):
            sums[topic] += messages
        return dict(sums)

    @cached_property
    def letters(self) -> dict[str, int | None]:
        """Open dead letters of each topic: every worker knows all of them, at another instant."""
        found: dict[str, int | None] = {}
        for one in (letters for status in self.told for letters in status.dead_letters):
            known = [count for count in (found.get(one.topic), one.open) if count is not None]
            found[one.topic] = max(known, default=None)
        return found

    @property
    def decided(self) -> int:
        """Decisions of the clock since the workers started."""
        return sum(status.decided for status in self.told)

    @property
    def late(self) -> int:
        """Those of them that were late."""
        return sum(status.late for status in self.told)

    @cached_property
    def outbox_since(self) -> datetime | None:
        """Since when the oldest event waits."""
        queues = self.overview.outbox.values() if self.overview else ()
        return min((queue.since for queue in queues if queue.since), default=None)

    @property
    def is_outbox_late(self) -> bool:
        """Whether the oldest event has waited for too long."""
        since, overview = self.outbox_since, self.overview
        return bool(since and overview and overview.now - since > OUTBOX_LATE)

    @cached_property
    def hours(self) -> list[Due]:
        """What falls due in each of the next hours."""
        if self.overview is None:
            return []
        first = self.overview.now.replace(minute=0, second=0, microsecond=0)
        due = {one.hour: one for one in self.overview.due}
        hours = (first + timedelta(hours=number) for number in range(HOURS + 1))
        return [due.get(hour, Due(hour, 0, 0)) for hour in hours]


def scene(
    answers: Answers[StatusAnswer], own: Status | None, reading: Reading, now: datetime
) -> Scene:
    """Put together what is known; `own` is this process, where it is not among the workers."""
    processes = [_process(worker) for worker in answers.workers]
    if own is not None:
        processes.append(Process("", (), None, own))
    return Scene(now, processes, answers.complete, reading)


def _process(worker: WorkerAnswer[StatusAnswer]) -> Process:
    answer = worker.answer
    if answer is None:
        return Process(worker.worker, worker.partitions, None, None, worker.is_older)
    holding = answer.holding
    return Process(worker.worker, holding.partitions, holding.recovered, answer.status)


def _need(name: str, seen: Sequence[Fault]) -> Need:
    since = max((one.since for one in seen if one.since), default=None)
    return Need(name, len(seen), since, [one for one in seen if one.state != OK])


def concerns(scene: Scene, ui: Speech) -> list[Concern]:
    """Return what is not as it should be, the worst first."""
    found = [*_of_needs(scene, ui), *_of_processes(scene, ui), *_of_store(scene, ui)]
    found += [*_of_lag(scene, ui), *_of_letters(scene, ui)]
    order = list(Trouble)
    return sorted(found, key=lambda one: order.index(one.trouble))


def _of_needs(scene: Scene, ui: Speech) -> Iterator[Concern]:
    for need in scene.needs:
        for fault in need.faults:
            trouble = Trouble(need.name) if need.name in NAMES else Trouble.CHECK
            yield Concern(trouble, _away(need.title, fault, ui))
    reading = scene.reading
    is_told = any(need.name == "database" and need.faults for need in scene.needs)
    if reading.away_since and not is_told:
        yield Concern(
            Trouble.DATABASE, _away("PostgreSQL", Fault("", reading.fault, reading.away_since), ui)
        )


def _away(title: str, fault: Fault, ui: Speech) -> str:
    values = {"name": title, "reason": fault.state, "process": fault.process or _here(ui)}
    if fault.since is None:
        return ui.text("%(name)s: %(reason)s, says %(process)s", **values)
    return ui.text(
        "%(name)s: %(reason)s since %(since)s, says %(process)s",
        since=ui.when(fault.since),
        **values,
    )


def _here(ui: Speech) -> str:
    return ui.text("this process")


def _of_processes(scene: Scene, ui: Speech) -> Iterator[Concern]:
    for process in scene.processes:
        status = process.status
        name = process.name or _here(ui)
        if status is None and not process.is_older:
            yield Concern(Trouble.SILENT, ui.text("%(name)s does not answer", name=name))
        if process.recovered is False:
            text = ui.text("%(name)s recovers its part of the table", name=name)
            yield Concern(Trouble.RECOVERING, text)
        for check, state in status.checks.items() if status else ():
            if state != OK and check != "outbox":  # the store's numbers say that
                trouble = Trouble.OUTBOX if check == "relay" else Trouble.CHECK
                text = ui.text(
                    "%(name)s: the check %(check)s says: %(state)s",
                    name=name,
                    check=check,
                    state=state,
                )
                yield Concern(trouble, text)
        if status and status.requests.failed:
            yield _failed(name, status, ui)
    if not scene.complete and all(one.status for one in scene.processes):
        yield Concern(Trouble.UNHELD, ui.text("Some of the table is on the move"))


def _failed(name: str, status: Status, ui: Speech) -> Concern:
    text = ui.plural(
        "%(num)s request failed on %(name)s",
        "%(num)s requests failed on %(name)s",
        status.requests.failed,
        name=name,
    )
    return Concern(Trouble.FAILED, text)


def _of_store(scene: Scene, ui: Speech) -> Iterator[Concern]:
    found = scene.overview
    if found is None:
        return
    if found.overdue_essays:
        text = ui.plural(
            "%(num)s essay is overdue", "%(num)s essays are overdue", found.overdue_essays
        )
        yield Concern(Trouble.OVERDUE, text, "/console/operations/timers")
    if found.refused:
        text = ui.plural(
            "%(num)s message is set aside", "%(num)s messages are set aside", found.refused
        )
        yield Concern(Trouble.SET_ASIDE, text, "/console/operations/outbox")
    if scene.is_outbox_late and scene.outbox_since:
        text = ui.text("Events wait since %(since)s", since=ui.when(scene.outbox_since))
        yield Concern(Trouble.OUTBOX, text, "/console/operations/outbox")


def _of_lag(scene: Scene, ui: Speech) -> Iterator[Concern]:
    for topic, messages in scene.lag.items():
        if messages >= MANY:
            text = ui.plural(
                "%(num)s message waits in %(topic)s",
                "%(num)s messages wait in %(topic)s",
                messages,
                topic=topic,
            )
            yield Concern(Trouble.LAG, text)


def _of_letters(scene: Scene, ui: Speech) -> Iterator[Concern]:
    open_letters = sum(count or 0 for count in scene.letters.values())
    if open_letters:
        text = ui.plural(
            "%(num)s dead letter is open", "%(num)s dead letters are open", open_letters
        )
        yield Concern(Trouble.LETTERS, text, "/console/operations/dead-letters")


def ranges(numbers: Iterable[int]) -> str:
    """Write partitions shortly: 0-3, 7."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(f"{p[0]}-{p[-1]}" if len(p) > 1 else str(p[0]) for p in parts)


def heights(hours: Sequence[Due]) -> list[int]:
    """Return how high each hour's bar is, of 100: one that has anything is seen."""
    most = max((one.essays for one in hours), default=0)
    return [max(3, round(100 * one.essays / most)) if one.essays else 0 for one in hours]

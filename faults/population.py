"""Who uses the service, and how much: so many people that a rate comes of it."""

import random
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from faults.calls import Calls, Pace
from faults.sender import Sender
from faults.workload.batches import Matching
from faults.workload.importers import Importer
from faults.workload.roster import School, Teacher

#: Which part of the operations is whose. A batch of suggestions is about one and a half messages,
#: and one decision, which is HTTP, too.
BY_TEACHERS: Final = 0.09
BY_MATCHING: Final = 0.05
BY_IMPORTERS: Final = 0.86
#: What more is done over HTTP while no commands can be given.
INSTEAD: Final = 0.4
OF_A_BATCH: Final = 2.6
#: How often one person does something, in seconds: one alone is slower than Kafka's answers.
TEACHER_SECONDS: Final = 0.3
IMPORTER_SECONDS: Final = 0.12
MATCHING_SECONDS: Final = 0.3
#: Enough users for commands in every partition, however low the rate.
FEWEST: Final = 3
#: After how long without an answer something is away, and how fresh an answer shows that it is not.
AWAY_SECONDS: Final = 3.0
WORKING_SECONDS: Final = 1.0


class Person(Protocol):
    """A user of the service."""

    async def work(self) -> None:
        """Go on for ever."""


def population(
    calls: Calls, sender: Sender, school: School, timeout_seconds: float, rate: float
) -> Sequence[Person]:
    """Return people who together ask for so many operations a second."""

    def kafka_is_away() -> bool:
        """Whether the service works, and Kafka does not."""
        now = calls.clock()
        works = now - calls.acked_at < WORKING_SECONDS
        return works and now - sender.acked_at > AWAY_SECONDS

    rng = calls.rng
    instead = _paces(rng, rate * INSTEAD, TEACHER_SECONDS)
    teachers = _paces(rng, rate * BY_TEACHERS, TEACHER_SECONDS)
    importers = _paces(rng, rate * BY_IMPORTERS, IMPORTER_SECONDS)
    matching = _paces(rng, rate * BY_MATCHING / OF_A_BATCH, MATCHING_SECONDS)
    return [
        *(Teacher(f"lärare-{n}", calls, school, pace()) for n, pace in enumerate(teachers)),
        *(
            Teacher(f"vikarie-{n}", calls, school, pace(), kafka_is_away)
            for n, pace in enumerate(instead)
        ),
        *(Importer(f"skola-{n}", sender, school, rng, pace()) for n, pace in enumerate(importers)),
        *(Matching(sender, calls, school, timeout_seconds, pace()) for pace in matching),
    ]


def _paces(rng: random.Random, rate: float, seconds: float) -> list[Callable[[], Pace]]:
    """Return as many paces as it takes, each about as fast as one person is."""
    number = max(FEWEST, round(rate * seconds))
    return [lambda: Pace(rng, number / rate)] * number

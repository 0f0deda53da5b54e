"""The users of the service: as many as it takes to reach a rate."""

import random
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from faults.calls import Calls, Pace
from faults.sender import Sender
from faults.workload.batches import Matching
from faults.workload.importers import Importer
from faults.workload.roster import School, Teacher

#: The shares of the operations. A batch of suggestions is about one and a half messages and one
#: decision, which is also HTTP.
BY_TEACHERS: Final = 0.1
BY_MATCHING: Final = 0.08
BY_IMPORTERS: Final = 0.82
#: The additional HTTP load while no commands can be sent.
INSTEAD: Final = 0.4
OF_A_BATCH: Final = 2.6
#: Seconds between the operations of one user, who is slower than Kafka's answers.
TEACHER_SECONDS: Final = 0.3
IMPORTER_SECONDS: Final = 0.12
MATCHING_SECONDS: Final = 0.3
#: Enough users for commands in every partition, even at a low rate.
FEWEST: Final = 3
#: How long without an answer means away, and how recent an answer means available.
AWAY_SECONDS: Final = 3.0
WORKING_SECONDS: Final = 1.0


class Person(Protocol):
    """A user of the service."""

    async def work(self) -> None:
        """Work until cancelled."""


def population(
    calls: Calls, sender: Sender, school: School, timeout_seconds: float, rate: float
) -> Sequence[Person]:
    """Return users who together request `rate` operations per second."""

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
    """Return the paces of as many users as the rate needs."""
    number = max(FEWEST, round(rate * seconds))
    return [lambda: Pace(rng, number / rate)] * number

"""What is not as it should be, and what to do about it, in the words of the runbook.

docs/operating.md has the same table ("What the overview says"); a test compares the two.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from web.console.notices import N_


class Trouble(StrEnum):
    """What may be wrong, the worst first."""

    DATABASE = "database"
    KAFKA = "kafka"
    REDIS = "redis"
    SILENT = "silent"
    CHECK = "check"
    UNHELD = "unheld"
    RECOVERING = "recovering"
    OVERDUE = "overdue"
    FAILED = "failed"
    SET_ASIDE = "set-aside"
    OUTBOX = "outbox"
    LAG = "lag"
    LETTERS = "letters"


@dataclass(frozen=True, slots=True)
class Advice:
    """What a trouble is, and what to do."""

    meaning: str
    remedy: str


ADVICE: Final[Mapping[Trouble, Advice]] = MappingProxyType(
    {
        Trouble.DATABASE: Advice(
            N_("Changes are refused with 503; messages and the clock wait. Nothing is lost."),
            N_("Bring PostgreSQL back, by the reason. All goes on by itself then."),
        ),
        Trouble.KAFKA: Advice(
            N_("Requests are answered; messages and events wait in their places."),
            N_("Bring Kafka back, or look at the network of that worker. All goes on by itself."),
        ),
        Trouble.REDIS: Advice(
            N_("Real-time messages are dropped. Nothing else needs Redis."),
            N_("Bring Redis back."),
        ),
        Trouble.SILENT: Advice(
            N_("It died, hangs, or cannot be reached from here. Others take over what it had."),
            N_("Look at its log and its machine. It leaves the list 30 s after it was last heard."),
        ),
        Trouble.CHECK: Advice(
            N_("A check of its health fails."),
            N_("Do what the check says; where /livez is 503, a restart helps."),
        ),
        Trouble.UNHELD: Advice(
            N_("Some part of the table has no worker that has recovered it."),
            N_("Wait a minute. If it stays, a worker is missing from the list."),
        ),
        Trouble.RECOVERING: Advice(
            N_("It reads its part of the table. Nothing is decided late by that."),
            N_("Wait: what is left to read shrinks. If it stays, look at Kafka."),
        ),
        Trouble.OVERDUE: Advice(
            N_("Essays are past their deadline, and the clock has not decided them yet."),
            N_("Look at PostgreSQL and at the workers. What is late is decided as soon as it can."),
        ),
        Trouble.FAILED: Advice(
            N_("Requests were answered with 5xx in the last minute."),
            N_("503: by its cause, see the dependencies. 500: a defect, the log says where."),
        ),
        Trouble.SET_ASIDE: Advice(
            N_("The broker refuses them for good; later ones of their keys wait behind them."),
            N_(
                "Raise the topic's max.message.bytes where they are too large, else mend its "
                "settings, and retry; or drop and tell the consumers."
            ),
        ),
        Trouble.OUTBOX: Advice(
            N_("Events wait for more than a minute: Kafka is away, or refuses a topic."),
            N_("All shards: bring Kafka back. Some: mend the topic or its ACL."),
        ),
        Trouble.LAG: Advice(
            N_("More messages come than are handled, or they cannot be handled at all."),
            N_("If it grows for minutes: look at PostgreSQL, or start more workers."),
        ),
        Trouble.LETTERS: Advice(
            N_("Messages that cannot succeed as they are, and that nobody has decided about."),
            N_("Look at each reason, then replay or drop."),
        ),
    }
)

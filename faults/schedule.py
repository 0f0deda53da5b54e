"""The steps of a campaign in order: every required fault in one run."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from faults.injectors import FAULTS, Fault

#: The required totals: crashes of workers, and restarts and kills of the two servers.
KILLS: Final = 200
RESTARTS: Final = 20
OPERATIONS: Final = 1_000_000

STORM: Final = "worker_storm"
#: Each as a clean stop and as a crash: alone, both servers at once, and during a storm.
SERVERS: Final = ("kafka_restart", "kafka_kill"), ("postgres_restart", "postgres_kill")
PAIRS: Final = 8
STORMY_SERVERS: Final = 12
#: This many other faults strike during a storm, all others alone. So a storm has to kill five
#: workers on average; if that was not enough in the end, there are more storms.
STORMY_OTHERS: Final = 14
MIXABLE: Final = ("kafka", "postgres", "messages", "topics")
USUAL_SECONDS: Final = 30.0
BETWEEN_SECONDS: Final = 3.0


@dataclass(frozen=True)
class Step:
    """Faults that strike at once; or one that lasts while the next steps are played."""

    faults: tuple[str, ...]
    beside: bool = False

    @property
    def seconds(self) -> float:
        """The approximate length in seconds."""
        if self.beside:
            return 0.0
        return BETWEEN_SECONDS + max(FAULTS[name].seconds for name in self.faults)


def campaign(rng: random.Random, playable: Sequence[str]) -> list[Step]:
    """Return all steps of a campaign with the faults that can be played here.

    Redis' ten minutes run during the storms of kills, since nothing else waits for Redis, and after
    its other faults. Those of Kafka and PostgreSQL are played alone.
    """
    usual = [name for name in playable if not FAULTS[name].only_if_asked and name != STORM]
    servers = {name for names in SERVERS for name in names}
    others = [name for name in usual if name not in servers]
    of_redis = [name for name in others if FAULTS[name].of == "redis"]
    mixable = [name for name in others if _is_mixable(FAULTS[name])]
    mixed = rng.sample(mixable, min(STORMY_OTHERS, len(mixable)))
    # Each leaves PostgreSQL on another disk.
    failovers = [name for name in usual if FAULTS[name].moves_postgres]
    damages = [name for name in usual if FAULTS[name].damages_logs]
    last = {*failovers, *damages}
    alone = [Step((name,)) for name in usual if name not in {*of_redis, *mixed, *last}]
    rest = _shuffled(rng, [*alone, *(Step(names) for names in _pairs(rng))])
    partners = [name for names in SERVERS for name in names * (STORMY_SERVERS // 2)]
    storms = _shuffled(rng, [Step((STORM, name)) for name in [*partners, *mixed]])
    middle = len(rest) // 2
    return [
        *_shuffled(rng, [Step((name,)) for name in of_redis]),
        *rest[:middle],
        Step(("postgres_gone",)),
        Step(("redis_gone",), beside=True),
        *storms,
        Step(("kafka_gone",)),
        *rest[middle:],
        *(Step((name,)) for name in damages),
        *_shuffled(rng, [Step((name,)) for name in failovers]),
    ]


def _is_mixable(fault: Fault) -> bool:
    alone = fault.alone or fault.moves_postgres
    return fault.of in MIXABLE and fault.seconds <= USUAL_SECONDS and not alone


def _shuffled(rng: random.Random, steps: Sequence[Step]) -> list[Step]:
    return rng.sample(steps, len(steps))


def _pairs(rng: random.Random) -> list[tuple[str, ...]]:
    """Return pairs of both servers, each restarted half of the time and else killed."""
    halves = [rng.sample(names * (PAIRS // 2), PAIRS) for names in SERVERS]
    return list(zip(*halves, strict=True))


def described(steps: Sequence[Step]) -> str:
    """Describe the steps and their approximate length."""
    counts = Counter(name for step in steps for name in step.faults)
    minutes = sum(step.seconds for step in steps) / 60
    each = ", ".join(f"{count} x {name}" for name, count in sorted(counts.items()))
    return f"{len(steps)} steps, about {minutes:.0f} minutes: {each}"

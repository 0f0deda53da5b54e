"""What a worker knows of itself."""

from typing import Annotated, Literal

from pydantic import Field

from web.schemas.base import Count, Instant, Output
from web.schemas.tables import Holding


class Dependency(Output):
    """What the worker needs: `state` is `ok`, or what is wrong with it since then."""

    name: str
    state: str
    since: Instant | None


class Lag(Output):
    """Messages of a partition that are not handled yet."""

    topic: str
    partition: Count
    messages: Count


class Letters(Output):
    """Open dead letters of a topic, of the whole system; null: unknown."""

    topic: str
    open: Count | None


class Requests(Output):
    """Requests answered within the last `seconds`: well, 4xx and 5xx."""

    seconds: Annotated[float, Field(ge=0)]
    good: Count
    refused: Count
    failed: Count


class WorkerStatus(Output):
    """What a process knows of itself; decisions of the clock are those since its start."""

    version: str
    role: str
    started_at: Instant
    health: Literal["healthy", "degraded", "unhealthy"]
    checks: dict[str, str]
    dependencies: list[Dependency]
    lag: list[Lag]
    changelog_lag: Count
    timers_held: Count
    decided: Count
    late: Count
    dead_letters: list[Letters]
    requests: Requests


class PartStatus(Output):
    """What this worker knows of itself."""

    holding: Holding
    status: WorkerStatus

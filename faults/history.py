"""What was asked of the service, and what it said: what the checker holds against its traces."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

Headers = tuple[tuple[str, bytes], ...]


class Outcome(StrEnum):
    """What is known of a request once it has ended."""

    ACKED = "acked"
    """The service said that it is done."""
    REFUSED = "refused"
    """The service said that nothing of it is done, and why."""
    NEVER = "never"
    """It was never sent: no server listened."""
    UNKNOWN = "unknown"
    """Unknown, or still going on: the answer was lost, late, or a 503."""


# Of these there are a million in a long run: slots halve what each takes.
@dataclass(slots=True)
class Op:
    """A change that was asked for, over HTTP or by a command.

    `id` is its correlation id, which every event that it causes carries. `kind` has the names
    of the commands. `target` is the class, student or batch; None for what the service names.
    `began` and `ended` are seconds on the harness's clock.
    """

    id: str
    kind: str
    user: str
    target: str | None
    body: Mapping[str, Any]
    began: float
    over_kafka: bool = False
    ended: float | None = None
    outcome: Outcome = Outcome.UNKNOWN
    status: int | None = None
    answer: Any = None


@dataclass(slots=True)
class Sent:
    """A record that was written to a consumed topic.

    `op_id` is the correlation id of what it carries. `readable`: whether it is a message of the
    contract; what is not belongs among the dead letters. `acked`: whether Kafka has said that it
    has it.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    began: float
    op_id: str | None = None
    event_id: str | None = None
    readable: bool = True
    acked: bool = False


@dataclass
class History:
    """Everything that was asked for."""

    zero: datetime
    """When the harness's clock was at zero."""
    ops: list[Op] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    reads: set[tuple[str, int]] = field(default_factory=set)
    """The paths that were answered with a 5xx when they were read, with each such status."""
    _asked: set[str] = field(default_factory=set)
    _times: list[float] = field(default_factory=list)

    def instant(self, seconds: float) -> datetime:
        """Return when the harness's clock was there."""
        return self.zero + timedelta(seconds=seconds)

    def op(self, op: Op) -> Op:
        """Take down an operation before it begins."""
        self.ops.append(op)
        self._asked.add(op.id)
        self._times.append(op.began)
        return op

    def send(self, sent: Sent) -> Sent:
        """Take down a record before it is written."""
        self.sent.append(sent)
        if sent.op_id not in self._asked:
            self._times.append(sent.began)
        return sent

    @property
    def operations(self) -> int:
        """How many there were so far; commands count once, as what they are, however often sent."""
        return len(self._times)

    def during(self, begin: float, end: float) -> int:
        """Return how many operations began in a time."""
        # Nearly in order already, which the sort makes use of.
        self._times.sort()
        return bisect_right(self._times, end) - bisect_left(self._times, begin)

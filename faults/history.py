"""The requests to the service and its answers, which the checker compares with the end."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

Headers = tuple[tuple[str, bytes], ...]


class Outcome(StrEnum):
    """The known outcome of a request."""

    ACKED = "acked"
    """The service reported that it is done."""
    REFUSED = "refused"
    """The service reported that none of it is done, and why."""
    NEVER = "never"
    """It was never sent: no server listened."""
    UNKNOWN = "unknown"
    """Unknown or still under way: the answer was lost, late, or a 503. Requests do not stay so, for
    they are repeated with their keys."""


# A long run has a million of these: slots halve the size of each.
@dataclass(slots=True)
class Attempt:
    """One request with the key of an operation.

    `id` is its correlation id, which every event that it causes carries. `status` is None without
    an answer. `is_replay` is the answer's `Idempotent-Replayed`, `content` a digest of it. `began`
    and `ended` are seconds on the harness's clock.
    """

    id: str
    began: float
    status: int | None = None
    outcome: Outcome = Outcome.UNKNOWN
    is_replay: bool = False
    content: bytes = b""
    ended: float | None = None


@dataclass(slots=True)
class Op:
    """A change that was requested, over HTTP or by a command.

    `id` is its key over HTTP, and the correlation id of its first attempt or of its command. `kind`
    has the names of the commands. `target` is the class, student or batch; None if the service
    chooses the id. `began` and `ended` are seconds on the harness's clock.
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
    attempts: list[Attempt] = field(default_factory=list)
    """The requests that were sent for it, in order; none for a command."""

    @property
    def correlation_ids(self) -> tuple[str, ...]:
        """Of whatever it causes, which one of its requests does."""
        return tuple(one.id for one in self.attempts) or (self.id,)

    @property
    def is_open(self) -> bool:
        """Whether it may yet be done, or be found done.

        A refusal is not the last word while another request with the key may be on its way: a key
        is kept for what is done only.
        """
        open_ = any(one.outcome is Outcome.UNKNOWN for one in self.attempts)
        return open_ and self.outcome in {Outcome.UNKNOWN, Outcome.REFUSED}


@dataclass(slots=True)
class Sent:
    """A record that was written to a consumed topic.

    `op_id` is the correlation id of its operation. `readable`: whether it is a message of the
    contract; others have to become dead letters. `acked`: whether Kafka acknowledged it.
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


@dataclass(frozen=True, slots=True)
class Probe:
    """Something that has to work while a fault lasts, with why it did not."""

    fault: str
    what: str
    at: float
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Undecodable:
    """A place in a log whose record batch was damaged on the broker's disk."""

    topic: str
    partition: int
    offset: int
    began: float


@dataclass
class History:
    """Everything that was requested."""

    zero: datetime
    """When the harness's clock was at zero."""
    ops: list[Op] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    reads: set[tuple[str, int]] = field(default_factory=set)
    """The paths whose reads were answered with a 5xx, with each such status."""
    probes: list[Probe] = field(default_factory=list)
    undecodable: list[Undecodable] = field(default_factory=list)
    figures: list[tuple[str, str, float]] = field(default_factory=list)
    """What faults have measured: the fault, the figure's name, its value."""
    transactions: bool = False
    """Whether Kafka's transactions have left marks, and aborted records, in the topics."""
    _asked: set[str] = field(default_factory=set)
    _times: list[float] = field(default_factory=list)

    def instant(self, seconds: float) -> datetime:
        """Return the time of day for a time on the harness's clock."""
        return self.zero + timedelta(seconds=seconds)

    def probe(self, fault: str, what: str, at: float, failure: str | None) -> None:
        """Record whether something worked while a fault lasted."""
        self.probes.append(Probe(fault, what, at, failure))

    def figure(self, fault: str, name: str, value: float) -> None:
        """Record what a fault has measured."""
        self.figures.append((fault, name, round(value, 3)))

    def op(self, op: Op) -> Op:
        """Record an operation before it begins."""
        self.ops.append(op)
        self._asked.add(op.id)
        self._times.append(op.began)
        return op

    def send(self, sent: Sent) -> Sent:
        """Record a message before it is written."""
        self.sent.append(sent)
        if sent.op_id not in self._asked:
            self._times.append(sent.began)
        return sent

    @property
    def operations(self) -> int:
        """The number of operations so far; a command counts once, however often it is sent."""
        return len(self._times)

    def during(self, begin: float, end: float) -> int:
        """Return how many operations began in a time."""
        # Nearly in order already, which makes the sort fast.
        self._times.sort()
        return bisect_right(self._times, end) - bisect_left(self._times, begin)

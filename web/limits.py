"""How many connections a process has, how long they may take, and what they may hold in memory."""

from dataclasses import dataclass
from typing import Final

MIB: Final = 1024**2


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """The limits of one process. Times are in seconds."""

    #: For everybody.
    connections: int = 2_000
    #: Requests that are under way at once, for everybody. So many fit into the answer's deadline.
    requests: int = 1_000
    #: Likewise, for one user.
    user_requests: int = 100
    #: Streams of events that one user has open: as many tabs.
    user_streams: int = 20
    #: More connections, on which only operations paths are answered.
    reserve: int = 100
    #: For the whole head of a request, from its first byte or from the connection's start.
    head_seconds: float = 30.0
    #: Between two requests.
    idle_seconds: float = 75.0
    #: For a whole body. Separate from the answer's deadline: a slow line is not our failure.
    body_seconds: float = 30.0
    #: Within which a client must take something of its answer.
    write_seconds: float = 30.0
    #: What large bodies and answers that are on their way hold, all together.
    held_bytes: int = 64 * MIB
    #: Answers that may be large and are being read from the database at once: each is in memory
    #: several times meanwhile. One user gets at most a quarter, and waits for more until the
    #: deadline: what waits for this user's connections must not keep others from theirs.
    large_reads: int = 8
    #: Files that are received and planned at once, and undos: each is in memory until it is
    #: planned, one at a time. One user gets at most a quarter; who waits is not read from, and busy
    #: after 10 s.
    uploads: int = 8
    #: For requests under way when the process stops.
    stop_seconds: float = 2.0

    @property
    def streams(self) -> int:
        """Streams of events that are open at once: they never take the last connections."""
        return self.connections // 2

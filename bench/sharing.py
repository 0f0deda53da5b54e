"""What several workers have in common while they work: connections, locks, shards of the outbox."""

import asyncio
import threading
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

import psutil

from devstack.rig.database import connected
from store.postgres.advisory import AdvisoryLock

LOOK_SECONDS: Final = 0.05

#: What each connection is doing, by the port from which it came; NULL waits for nothing.
_DOING: Final = """
select client_port as port, state, coalesce(wait_event_type, 'CPU') as waits_for,
    (select count(*) from pg_locks where locktype = 'advisory' and granted
        and pid = connections.pid and classid = $1::oid) as shards
from pg_stat_activity as connections
where datname = current_database() and pid <> pg_backend_pid() and client_port is not null
"""


@dataclass
class Shared:
    """Sums over looks at the database, each a moment; `figures` makes averages of them."""

    looks: int = 0
    most_connections: int = 0
    doing: Counter[str] = field(default_factory=Counter)
    """Connections in a statement, by what they waited for, and those between two statements."""
    shards: defaultdict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    """Shards that each worker held, by its number."""

    def figures(self) -> Mapping[str, float]:
        """Return averages over the looks."""
        looks = max(self.looks, 1)
        doing = {f"{what}_connections": count / looks for what, count in self.doing.items()}
        held = {f"shards_of_{n}": sum(counts) / looks for n, counts in sorted(self.shards.items())}
        return {"most_connections": self.most_connections, **doing, **held}


class Watch:
    """Looks again and again while its context is open, in a thread of its own."""

    def __init__(self, dsn: str, workers: Sequence[int]) -> None:
        """Watch a database and the workers with these process ids."""
        self.shared = Shared()
        self._dsn = dsn
        self._workers = workers
        self._ended = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    async def _run(self) -> None:
        async with connected(self._dsn) as connection:
            while not self._ended.is_set():
                rows = await connection.fetch(_DOING, AdvisoryLock.SHARDS.value)
                self._note([(port, _doing(*doing), held) for port, *doing, held in rows])
                await asyncio.sleep(LOOK_SECONDS)

    def _note(self, rows: Sequence[tuple[int, str, int]]) -> None:
        """Add what one look has found."""
        numbers = {port: n for n, pid in enumerate(self._workers) for port in _ports(pid)}
        ours = [(numbers[port], what, shards) for port, what, shards in rows if port in numbers]
        shared, held = self.shared, Counter[int]()
        shared.looks += 1
        shared.most_connections = max(shared.most_connections, len(ours))
        shared.doing.update(what for _, what, _ in ours if what != "idle")
        for number, _, shards in ours:
            held[number] += shards
        for number in range(len(self._workers)):
            shared.shards[number].append(held[number])


def _doing(state: str, waits_for: str) -> str:
    if state == "active":
        return waits_for.lower()
    return "between" if state == "idle in transaction" else "idle"


def _ports(pid: int) -> set[int]:
    return {one.laddr.port for one in psutil.Process(pid).net_connections(kind="tcp")}

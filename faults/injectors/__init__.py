"""The faults by name: after each one everything runs again."""

from collections.abc import Mapping

from faults.injectors import capacity, database, records, servers, topics, wires, workers
from faults.injectors.scene import Fault, Scene

__all__ = ["FAULTS", "SHORT", "Fault", "Scene"]

FAULTS: Mapping[str, Fault] = {
    **workers.FAULTS,
    **servers.FAULTS,
    **wires.FAULTS,
    **database.FAULTS,
    **records.FAULTS,
    **topics.FAULTS,
    **capacity.FAULTS,
}
"""All faults."""

SHORT = (
    "worker_kill",
    "worker_hang",
    "kafka_kill",
    "postgres_kill",
    "postgres_commit_cut",
    "messages_poison",
    "messages_again",
)
"""The faults of the short form."""

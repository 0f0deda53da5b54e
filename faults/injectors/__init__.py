"""The faults by name: after each one everything runs again."""

from collections.abc import Mapping

from faults.injectors import (
    capacity,
    codecs,
    connections,
    damage,
    database,
    failover,
    records,
    refusal,
    servers,
    tenants,
    topics,
    transactions,
    wires,
    workers,
)
from faults.injectors.scene import Fault, Scene

__all__ = ["FAULTS", "SHORT", "Fault", "Scene"]

FAULTS: Mapping[str, Fault] = {
    **workers.FAULTS,
    **servers.FAULTS,
    **wires.FAULTS,
    **database.FAULTS,
    **failover.FAULTS,
    **records.FAULTS,
    **codecs.FAULTS,
    **transactions.FAULTS,
    **damage.FAULTS,
    **refusal.FAULTS,
    **topics.FAULTS,
    **capacity.FAULTS,
    **connections.FAULTS,
    **tenants.FAULTS,
}
"""All faults."""

SHORT = (
    "worker_kill",
    "worker_hang",
    "kafka_kill",
    "postgres_kill",
    "postgres_commit_cut",
    "postgres_failover",
    "messages_poison_codecs",
    "messages_aborted",
    "messages_again",
    "connections_idle",
    "hot_batch",
)
"""The faults of the short form."""

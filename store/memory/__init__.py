"""The store in the process's memory (USE_MOCK_REPOSITORY=true): the same rules, nothing lasts.

No operation awaits anything between its first look and its last change, so that each is one
transaction to everybody else on the event loop. Whatever can refuse comes before the first change.
"""

from store.memory.associations import MemoryAssociationRepository
from store.memory.classes import MemoryClassRepository
from store.memory.commands import MemoryCommandRepository
from store.memory.dead_letters import MemoryDeadLetters
from store.memory.inbox import MemoryInbox
from store.memory.maintenance import MemoryMaintenance
from store.memory.outbox import MemoryOutbox
from store.memory.progress import MemoryProgress
from store.memory.queries import MemoryQueries
from store.memory.state import MemoryStore
from store.memory.timers import MemoryTimers
from store.memory.workers import MemoryWorkerRegistry

__all__ = [
    "MemoryAssociationRepository",
    "MemoryClassRepository",
    "MemoryCommandRepository",
    "MemoryDeadLetters",
    "MemoryInbox",
    "MemoryMaintenance",
    "MemoryOutbox",
    "MemoryProgress",
    "MemoryQueries",
    "MemoryStore",
    "MemoryTimers",
    "MemoryWorkerRegistry",
]

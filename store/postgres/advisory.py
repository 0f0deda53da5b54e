"""The advisory locks of the database, all of them: what has the same number is the same lock."""

from enum import IntEnum


class AdvisoryLock(IntEnum):
    """What the lock is of.

    SHARDS has one for each shard, as its second number; IDEMPOTENCY_KEYS for each hash of a key,
    ERASURES for each of whom is erased.
    """

    MIGRATIONS = 5_002_001
    """Taken by migrations.runner, which knows nothing of this room."""
    SHARDS = 5_002_002
    EMAIL_KEYS = 5_002_003
    PARTITIONS = 5_002_004
    IDEMPOTENCY_KEYS = 5_002_005
    FEED = 5_002_006
    ERASURES = 5_002_009

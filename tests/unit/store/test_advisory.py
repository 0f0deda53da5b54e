"""The advisory locks: each is of one thing."""

import re
from pathlib import Path
from typing import Final

from migrations import runner
from store.postgres.advisory import AdvisoryLock

REPOSITORY: Final = Path(__file__).parents[3]
ROOMS: Final = ("agents", "class_management", "rules", "store", "tables", "web")


def test_no_two_advisory_locks_have_the_same_number() -> None:
    assert len(set(AdvisoryLock)) == len(AdvisoryLock.__members__)


def test_every_advisory_lock_is_taken_by_its_name() -> None:
    sources = [
        path.read_text() for room in ROOMS for path in sorted((REPOSITORY / room).rglob("*.py"))
    ]
    taken = [
        what
        for source in sources
        for what in re.findall(r"pg_(?:try_)?advisory\w*\(\s*([^,)]*)", source)
    ]
    others = [lock for lock in AdvisoryLock if lock is not AdvisoryLock.MIGRATIONS]
    assert set(taken) == {f"{{AdvisoryLock.{lock.name}}}" for lock in others}
    assert AdvisoryLock.MIGRATIONS.value == runner._LOCK

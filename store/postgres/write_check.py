"""Whether changes can be stored now."""

import os
import time
from datetime import datetime
from typing import Final

from rules.errors import Cause, StoreBusyError, StoreUnavailableError
from store.client import Client, Share, working_as
from store.postgres import sql
from store.postgres.database import Database

#: A server that does not answer this simple query for so long is gone or hangs.
ANSWER_SECONDS: Final = 2.0
#: Between attempts to write while a fault is known.
TRY_SECONDS: Final = 5.0
#: More than a page of the table, so that it needs room on the disk.
TRIED_BYTES: Final = 64 * 1024

#: What the statements of `sql` use: without one of these some change or loop fails.
_PRIVILEGES: Final = {
    "association_history": "select insert update",
    "associations": "select insert update delete",
    "batches": "select insert update",
    "changes": "select insert",
    "classes": "select insert update delete",
    "consumer_progress": "select insert update",
    "cursor_keys": "select",
    "dead_letter_decisions": "select insert update delete",
    "deleted_classes": "select insert update delete",
    "enrollments": "select insert delete",
    "feed": "select insert",
    "feed_state": "select update",
    "idempotency_keys": "select insert update delete",
    "import_class_marks": "select insert update",
    "import_marks": "select insert update",
    "import_members": "select insert delete",
    "import_parts": "select insert update delete",
    "import_rows": "select insert update delete",
    "imports": "select insert update delete",
    "inbox": "select insert delete",
    "outbox": "select",
    "outbox_packs": "select insert delete",
    "outbox_set_aside": "select insert delete",
    "parked": "select insert update delete",
    "students": "select insert update delete",
    "workers": "select insert update delete",
}

#: Table and privilege.
NEEDED: Final = tuple(
    (table, privilege)
    for table, privileges in _PRIVILEGES.items()
    for privilege in privileges.split()
)


class WriteCheck:
    """Asks PostgreSQL what it says about writing, and writes only while a fault is known.

    A full disk shows in no setting: a change that failed says so (`Database.write_fault`). From
    then on a row like those of each change is written and taken back, until that succeeds.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._server: datetime | None = None
        self._new_since: int | None = None
        """From a failed look to the next good one: the generation of sessions opened meanwhile."""
        self._tried_at = 0.0

    async def run(self) -> None:
        """Raise StoreUnavailableError unless changes can be stored, as far as is known."""
        with working_as(Client(Share.PROBE)):
            try:
                missing = await self._look()
            except StoreBusyError:
                raise
            except StoreUnavailableError:
                # Once: replacing all sessions again and again costs too much.
                if self._new_since is None:
                    self._new_since = await self._database.expire()
                raise
            self._new_since = None  # of a missing privilege no other session would know more
            if missing:
                lacks = ", ".join(missing)
                raise StoreUnavailableError(f"The account lacks: {lacks}.", cause=Cause.ACCESS)
            if self._database.write_fault is not None:
                await self._try_to_write(self._database.write_fault)

    async def _look(self) -> list[str]:
        """Return the privileges that are missing."""
        async with self._database.acquire() as connection:
            (row,) = await connection.fetch(
                sql.sessions.WRITE_CHECK, *zip(*NEEDED, strict=True), timeout=ANSWER_SECONDS
            )
        if row["read_only"]:
            raise StoreUnavailableError(cause=Cause.READ_ONLY)
        if self._server not in {None, row["server"]}:
            await self._server_changed()
        self._server = row["server"]
        missing: list[str] = row["missing"]
        return missing

    async def _server_changed(self) -> None:
        """End what still waits for a server that another has replaced, which may be for long.

        Sessions opened since the outage began are spared: what they commit is on the new server.
        """
        new_since = self._new_since
        if new_since is None:
            new_since = await self._database.expire()
        self._database.end_before(new_since)
        self._database.write_fault = None

    async def _try_to_write(self, fault: Cause) -> None:
        if time.monotonic() - self._tried_at < TRY_SECONDS:
            raise StoreUnavailableError(cause=fault)
        self._tried_at = time.monotonic()
        async with self._database.acquire() as connection:
            attempt = connection.transaction()
            await attempt.start()
            try:
                value = os.urandom(TRIED_BYTES)  # does not compress
                await connection.execute(sql.outbox.INSERT_PACKS, [0], [1], [value])
            finally:
                await attempt.rollback()
        self._database.write_fault = None

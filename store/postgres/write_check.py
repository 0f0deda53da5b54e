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

#: Without one of these privileges some change fails: table and privilege.
_NEEDED: Final = (
    *((table, "insert") for table in ("classes", "students", "enrollments", "batches")),
    *((table, "insert") for table in ("associations", "inbox", "outbox")),
    *((table, "update") for table in ("classes", "students", "batches", "associations")),
    *((table, "delete") for table in ("classes", "students", "enrollments", "outbox")),
)


class WriteCheck:
    """Asks PostgreSQL what it says about writing, and writes only while a fault is known.

    A full disk shows in no setting: a change that failed says so (`Database.write_fault`). From
    then on a row like those of each change is written and taken back, until that succeeds.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._well = True
        self._server: datetime | None = None
        self._tried_at = 0.0

    async def run(self) -> None:
        """Raise StoreUnavailableError unless changes can be stored, as far as is known."""
        with working_as(Client(Share.PROBE)):
            try:
                await self._look()
            except StoreBusyError:
                raise
            except StoreUnavailableError:
                if self._well:  # once: replacing all sessions again and again costs too much
                    self._well = False
                    await self._database.expire()
                raise
            self._well = True
            if self._database.write_fault is not None:
                await self._try_to_write(self._database.write_fault)

    async def _look(self) -> None:
        async with self._database.acquire() as connection:
            (row,) = await connection.fetch(
                sql.WRITE_CHECK, *zip(*_NEEDED, strict=True), timeout=ANSWER_SECONDS
            )
        if row["read_only"]:
            raise StoreUnavailableError(cause=Cause.READ_ONLY)
        if self._server not in {None, row["server"]}:
            await self._server_changed()
        self._server = row["server"]
        if row["missing"]:
            lacks = ", ".join(row["missing"])
            raise StoreUnavailableError(f"The account lacks: {lacks}.", cause=Cause.ACCESS)

    async def _server_changed(self) -> None:
        """End what still waits for a server that another has replaced, which may be for long."""
        await self._database.expire()
        self._database.end_expired()
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
                await connection.execute(sql.INSERT_OUTBOX, [0], [""], [None], [value], [b"[]"])
            finally:
                await attempt.rollback()
        self._database.write_fault = None

"""What changed, so that you need not read everything again."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from class_management_client.models import Change, ChangePage
from class_management_client.requests import PAGE, Requests


@dataclass(frozen=True)
class Changes:
    """Changes of your classes and students, of the last 30 days."""

    requests: Requests

    async def now(self) -> str:
        """Return the cursor behind all changes that are told: read your lists next, then go on.

        What was changed within the last second may still come behind it.
        """
        return (await self.after("now")).next_cursor

    async def after(self, cursor: str | None = None) -> ChangePage:
        """Return the changes behind a cursor, from the oldest without one.

        Keep its `next_cursor` together with what you make of the changes. After a ResyncError take
        `now`, and read everything anew.
        """
        query: dict[str, str | int] = {"limit": PAGE}
        if cursor is not None:
            query["cursor"] = cursor
        return ChangePage.model_validate(await self.requests.get("/v1/changes", query))

    async def all(self, cursor: str | None = None) -> AsyncIterator[Change]:
        """Yield all changes behind a cursor that there are by now."""
        more = True
        while more:
            page = await self.after(cursor)
            for change in page.changes:
                yield change
            cursor, more = page.next_cursor, page.more

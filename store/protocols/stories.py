"""What is known of a batch, for those who operate the service."""

from typing import Protocol
from uuid import UUID

from rules.story import BatchOfClass, Named, Story


class StoryProtocol(Protocol):
    """Batches by whatever id a person has, of any owner."""

    async def named(self, wanted: UUID) -> list[Named]:
        """Return the batches that the id of a batch or an essay names, else a correlation id.

        Looking for a correlation id takes long: it reads all batches, and the changes that are
        kept.
        """

    async def of_class(self, class_id: UUID, most: int) -> list[BatchOfClass]:
        """Return the batches of a class that is not deleted, the latest first."""

    async def story(self, batch_id: UUID) -> Story | None:
        """Return what is known of a batch, at one instant; None if nothing is."""

"""The keys by which addresses are compared, in a store that older versions filled."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol
from uuid import UUID

from rules.email_keys import Collision


class Lacking(Enum):
    """Why a student has no key that is right."""

    UNKEYED = auto()
    """It was not computed yet, or is of an email that an older worker has changed since."""
    COLLIDING = auto()
    """Another student of the owner had it."""


@dataclass(frozen=True, slots=True)
class WithoutKey:
    """How many students have no key: not yet, or because another one has it."""

    unkeyed: int
    colliding: int


class EmailKeysProtocol(Protocol):
    """The keys by which addresses are compared."""

    async def fill(self, lacking: Lacking, begin: UUID, limit: int) -> UUID | None:
        """Look at students from the id `begin` on, and give keys; return where to go on.

        None at the end, and while another worker is at it. Of those with one key the oldest gets
        it; a student that is being changed is left for another time.
        """

    async def count(self) -> WithoutKey:
        """Count the students without a key."""

    async def collisions(self) -> list[Collision]:
        """Return those who share an address, by their oldest student."""

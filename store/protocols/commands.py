"""Commands that come as messages."""

from collections.abc import Sequence
from typing import Protocol

from rules.commands.orders import CommandDelivery
from rules.commands.results import CommandResult
from rules.progress import Progress


class CommandRepositoryProtocol(Protocol):
    """Commands that come as messages."""

    async def apply_commands(
        self, deliveries: Sequence[CommandDelivery], reached: Sequence[Progress] = ()
    ) -> list[CommandResult]:
        """Execute commands, each user's in order, and publish the results, in one transaction.

        A refusal is a result and undoes its command alone. A command whose event id was handled
        before has no second effect: its result is a duplicate, published if the sender repeated
        it, not if Kafka redelivered the record. `reached` is the progress that this makes true.
        """

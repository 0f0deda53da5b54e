"""The instants that a timer can have."""

from datetime import UTC, datetime
from typing import Final

#: The timer table counts from here.
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: Later than any timeout reaches, and far from where Python's calendar ends.
LATEST: Final = datetime(3000, 1, 1, tzinfo=UTC)

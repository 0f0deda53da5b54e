"""What the operators' pages need beside what the API's views call."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from store.protocols.set_aside import SetAsideProtocol
from store.protocols.stories import StoryProtocol
from telemetry.status import Status
from web.console.figures import Figures


@dataclass(frozen=True, slots=True)
class Desk:
    """What only operators see and do; `status` returns what this process knows of itself."""

    stories: StoryProtocol
    set_aside: SetAsideProtocol
    figures: Figures
    status: Callable[[], Awaitable[Status]]

"""What the operators' pages need beside what the API's views call."""

from dataclasses import dataclass

from store.protocols.set_aside import SetAsideProtocol
from store.protocols.stories import StoryProtocol


@dataclass(frozen=True, slots=True)
class Desk:
    """What only operators see and do."""

    stories: StoryProtocol
    set_aside: SetAsideProtocol

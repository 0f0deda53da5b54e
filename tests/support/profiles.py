"""How much of a long test is run: a short profile in `make test`, a long one in `make test-long`.

Tests with more to do in the long profile have the marker `long`, by which `make test-long` finds
them. The profiles are hypothesis's, since it brings the option and what depends on it.
"""

from typing import Final, TypeVar

import hypothesis

SHORT: Final = "short"
LONG: Final = "long"

T = TypeVar("T")


def register() -> None:
    """Make the profiles known, and choose the short one unless the command line chooses."""
    for name in (SHORT, LONG):
        # How long an example takes says only how busy the machine is.
        hypothesis.settings.register_profile(
            name, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
        )
    hypothesis.settings.load_profile(SHORT)


def is_long() -> bool:
    """Whether the long profile is chosen; known once modules of tests are imported."""
    return hypothesis.settings.get_current_profile_name() == LONG


def by_profile(*, short: T, long: T) -> T:
    """Return what the chosen profile takes."""
    return long if is_long() else short

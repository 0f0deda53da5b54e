"""The error of the demo, with what to do about it."""

from typing import Final

from devstack.stack import PREFIX

HOW_TO_START: Final = "start it with `make run`"
#: Then everything that nobody has decided is decided after 18 seconds.
HOW_TO_SEE_THE_CLOCK: Final = f"start it with {PREFIX}TIMEOUT_HOURS=0.005 make run"


class DemoError(Exception):
    """Something expected did not arrive; the message is one line for a person."""

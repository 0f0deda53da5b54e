"""The error of the demo, with what to do about it."""

from typing import Final

from devstack.stack import PREFIX

HOW_TO_START: Final = f"start it with {PREFIX}TIMEOUT_HOURS=0.005 make run"


class DemoError(Exception):
    """Something expected did not arrive; the message is one line for a person."""

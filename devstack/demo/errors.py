"""How the demo fails, and what to do about it."""

from typing import Final

from devstack.stack import PREFIX

HOW_TO_START: Final = f"start it with {PREFIX}TIMEOUT_HOURS=0.005 make run"


class DemoError(Exception):
    """Something expected did not come; the message is one line for the person who looks on."""

"""Values: dataclasses that nobody changes.

mypy sees to it. Python would as well, but then takes three times as long to make one: a thirtieth
of the worker's time for a command. What is made by the dozen for each change takes its `dataclass`
from here.
"""

from typing import TYPE_CHECKING

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    import dataclasses
    from collections.abc import Callable

    def dataclass(*, frozen: bool = False, slots: bool = False) -> Callable[[type], type]:
        """Make a class that compares and hashes like one that is frozen."""
        return dataclasses.dataclass(slots=slots, unsafe_hash=frozen)

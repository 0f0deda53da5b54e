"""How many students a class has, and classes a student (docs/contract.md, section 2).

What exceeds a limit already stays and can be changed: only what makes it more is refused.
"""

from collections.abc import Iterable, Mapping
from typing import Final
from uuid import UUID

from rules.errors import FieldError, ValidationFailedError

#: The UNKNOWN student does not count.
MAX_STUDENTS: Final = 2_000
MAX_CLASSES: Final = 200

TOO_MANY_CLASSES: Final = f"A student is in at most {MAX_CLASSES:,} classes."


def too_many_students(member: str) -> ValidationFailedError:
    """Return the refusal of another student in a class; `member` names the class."""
    detail = f"A class has at most {MAX_STUDENTS:,} students."
    return ValidationFailedError(detail, [FieldError(f"/{member}", detail)])


def too_many_classes(member: str) -> ValidationFailedError:
    """Return the refusal of another class for a student; `member` names the class."""
    return ValidationFailedError(TOO_MANY_CLASSES, [FieldError(f"/{member}", TOO_MANY_CLASSES)])


def check_classes(before: int, after: int, member: str) -> None:
    """Check in how many classes a student is. Raises ValidationFailedError."""
    if after > max(before, MAX_CLASSES):
        raise too_many_classes(member)


def check_places(sizes: Mapping[UUID, int], joined: Iterable[UUID], member: str) -> None:
    """Check that classes of these sizes have a place. Raises ValidationFailedError."""
    if any(sizes.get(class_id, 0) >= MAX_STUDENTS for class_id in joined):
        raise too_many_students(member)

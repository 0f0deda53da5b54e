"""The courses that a class can belong to (docs/contract.md, section 1: reference data)."""

from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Course:
    """One row of the reference data; `language` is an ISO 639-1 code."""

    code: str
    name: str
    language: str


COURSES = MappingProxyType(
    {
        course.code: course
        for course in (
            Course("ENG5", "English 5", "en"),
            Course("ENG6", "English 6", "en"),
            Course("ENG7", "English 7", "en"),
            Course("SV1", "Svenska 1", "sv"),
            Course("SV2", "Svenska 2", "sv"),
            Course("SV3", "Svenska 3", "sv"),
        )
    }
)

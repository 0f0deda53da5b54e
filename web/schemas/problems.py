"""Problem details (RFC 9457), the form of every error."""

from pydantic import Field

from web.schemas.base import Id, Output


class Fault(Output):
    """One fault of an input."""

    pointer: str = Field(description="A JSON Pointer (RFC 6901) to what was sent.")
    detail: str


class Problem(Output):
    """An error."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    error_code: str
    correlation_id: Id
    errors: list[Fault] = Field(default=[], description="All faults of an input; with 400.")
    student_id: Id | None = Field(
        default=None, description="The caller's own student that is in the way."
    )
    class_id: Id | None = Field(
        default=None, description="The caller's own class that is in the way."
    )

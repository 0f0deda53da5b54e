"""What the models of answers share."""

from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class Output(BaseModel):
    """An object of an answer: it has these members and no others."""

    # The service itself validates nothing with them: each is built where a document needs it.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


#: RFC 3339, in UTC.
Instant = AwareDatetime
#: 0..1.
Confidence = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Id = UUID


class Pagination(Output):
    """Where a page of a list stands."""

    limit: int | None = Field(description="The most that a page has; null: all of them.")
    returned: Count
    next_cursor: str | None = Field(
        description="The `cursor` of the next page; null at the end of the list."
    )

"""What the models of events share."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class Published(BaseModel):
    """An object that is published: it has these members, each of them always, and no others."""

    # The service itself validates nothing with them: each is built where a document needs it.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


#: RFC 3339, in UTC.
Instant = AwareDatetime
#: 0..1.
Confidence = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Id = UUID
UserId = Annotated[str, Field(min_length=1, description="The id of a user, as the gateway has it.")]
OneCourse = Annotated[list[str], Field(min_length=1, max_length=1, description="A list of one.")]


class TracedMetadata(Published):
    """The trace of what caused an event."""

    traceparent: str = Field(description="W3C Trace Context, as in the header of that name.")


class Envelope(Published):
    """What every published value has around its event."""

    event_id: Id = Field(
        description="Unique for each event and the same in every delivery: the key for "
        "deduplication."
    )
    event_type: str = Field(description="The topic's name.")
    event_timestamp: Instant
    source_service: Literal["class_management_service"]
    schema_version: Literal[1]
    correlation_id: Id = Field(description="That of the request, or message, which caused it.")
    data_schema_uri: str | None = Field(description="A URI; null so far.")
    data: Any
    metadata: TracedMetadata | None = Field(description="null where there is no trace.")

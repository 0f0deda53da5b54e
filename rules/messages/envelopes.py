"""What all consumed messages have in common."""

from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, core_schema

from rules.errors import ValidationFailedError
from rules.models import Record
from rules.traces import TRACEPARENT_LENGTH, valid_traceparent

MAX_FAULTS: Final = 5


class Wire(BaseModel):
    """Strict about JSON types (no text for a number); unknown members are ignored.

    A length is checked before anything else looks at a value. Lists stop at their first fault: a
    message can have millions, which would take minutes to name.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class NoneIfInvalid:
    """Marks a member whose faults do not matter: it counts as absent."""

    def __get_pydantic_core_schema__(
        self,
        source: type[Any],
        handler: GetCoreSchemaHandler,
    ) -> CoreSchema:
        """Return the member's schema with a default for what does not fit."""
        return core_schema.with_default_schema(handler(source), default=None, on_error="default")


class Metadata(Wire):
    """What is read of an envelope's metadata."""

    traceparent: Annotated[str | None, Field(max_length=TRACEPARENT_LENGTH), NoneIfInvalid()] = None


WireT = TypeVar("WireT", bound=Wire)


def read(model: type[WireT], value: bytes | None) -> WireT:
    """Read a value. Raises ValidationFailedError, whose text names places, not values."""
    try:
        return model.model_validate_json(value or b"")
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False, include_context=False)
        faults = [f"{fault['type']} at /{'/'.join(map(str, fault['loc']))}" for fault in details]
        raise ValidationFailedError("; ".join(faults[:MAX_FAULTS])) from None


def traceparent_of(record: Record, metadata: Metadata | None) -> str | None:
    """Return the trace context of a message, from its headers or else its metadata."""
    if not record.headers and metadata is None:
        return None
    header = dict(record.headers).get("traceparent", b"")[: TRACEPARENT_LENGTH + 1]
    return valid_traceparent(header.decode("latin-1")) or valid_traceparent(
        metadata and metadata.traceparent
    )

"""What all consumed messages have in common."""

from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from rules.errors import ValidationFailedError
from rules.models import Record
from rules.traces import valid_traceparent

MAX_FAULTS: Final = 5


class Wire(BaseModel):
    """Unknown members are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


WireT = TypeVar("WireT", bound=Wire)


def read(model: type[WireT], value: bytes | None) -> WireT:
    """Read a value. Raises ValidationFailedError, whose text names places, not values."""
    try:
        return model.model_validate_json(value or b"")
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False, include_context=False)
        faults = [f"{fault['type']} at /{'/'.join(map(str, fault['loc']))}" for fault in details]
        raise ValidationFailedError("; ".join(faults[:MAX_FAULTS])) from None


def traceparent_of(record: Record, metadata: dict[str, Any] | None) -> str | None:
    """Return the trace context of a message, from its headers or else its metadata."""
    header = dict(record.headers).get("traceparent", b"").decode("latin-1")
    return valid_traceparent(header) or valid_traceparent((metadata or {}).get("traceparent"))

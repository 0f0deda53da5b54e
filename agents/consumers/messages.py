"""What the consumed topics carry, as it stands on the wire (contract, section 3)."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, TypeVar
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from rules.errors import ValidationFailedError
from rules.models import MatchResult, Record, Suggestion, SuggestionMessage, Trace
from rules.traces import valid_traceparent

MAX_RESULTS: Final = 10_000
MAX_SUGGESTIONS: Final = 1_000
MAX_FAULTS: Final = 5


def _storable(text: str) -> str:
    if "\0" in text:
        raise PydanticCustomError("nul", "Must not hold NUL.")
    return text


class Wire(BaseModel):
    """Members that are not known are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


WireT = TypeVar("WireT", bound=Wire)


class SuggestionWire(Wire):
    """One proposed student. Names and emails are left unread: nothing here needs them."""

    student_id: UUID
    confidence_score: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    match_reasons: list[Annotated[str, AfterValidator(_storable)]] = []


class MatchResultWire(Wire):
    """The proposals for one essay."""

    essay_id: UUID
    suggestions: Annotated[list[SuggestionWire], Field(max_length=MAX_SUGGESTIONS)] = []


class MatchesSuggestedWire(Wire):
    """BatchAuthorMatchesSuggestedV1."""

    batch_id: UUID
    class_id: UUID
    match_results: Annotated[list[MatchResultWire], Field(max_length=MAX_RESULTS)]


class MatchesSuggestedEnvelope(Wire):
    """The envelope of match suggestions; `event_type` comes in two spellings."""

    event_id: UUID
    event_type: Literal[
        "huleedu.batch.author.matches.suggested.v1", "batch.author.matches.suggested"
    ]
    correlation_id: UUID
    data: MatchesSuggestedWire
    metadata: dict[str, Any] | None = None


#: The table counts from then on.
Instant = Annotated[AwareDatetime, Field(ge=datetime(1970, 1, 1, tzinfo=UTC))]


class TimerWire(Wire):
    """`armed` or `cleared`."""

    event: Literal["armed", "cleared"]
    batch_id: UUID
    class_id: UUID | None = None
    pending_count: Annotated[int, Field(ge=0, lt=2**32)] = 0
    confirm_by: Instant | None = None
    armed_at: Instant | None = None


class TimerEnvelope(Wire):
    """The envelope of a timer message."""

    data: TimerWire


def parse_suggestions(record: Record) -> SuggestionMessage:
    """Read match suggestions. Raises ValidationFailedError, whose text names places, not values."""
    envelope = read(MatchesSuggestedEnvelope, record.value)
    return SuggestionMessage(
        event_id=envelope.event_id,
        trace=Trace(envelope.correlation_id, traceparent_of(record, envelope.metadata)),
        batch_id=envelope.data.batch_id,
        class_id=envelope.data.class_id,
        results=tuple(_match_result(result) for result in envelope.data.match_results),
    )


def _match_result(wire: MatchResultWire) -> MatchResult:
    suggestions = tuple(
        Suggestion(s.student_id, s.confidence_score, tuple(s.match_reasons))
        for s in wire.suggestions
    )
    return MatchResult(wire.essay_id, suggestions)


def traceparent_of(record: Record, metadata: dict[str, Any] | None) -> str | None:
    """Return the trace context of a message, from its headers or else its metadata."""
    header = dict(record.headers).get("traceparent", b"").decode("latin-1")
    return valid_traceparent(header) or valid_traceparent((metadata or {}).get("traceparent"))


def read(model: type[WireT], value: bytes | None) -> WireT:
    """Read a value. Raises ValidationFailedError, whose text names places, not values."""
    try:
        return model.model_validate_json(value or b"")
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False, include_context=False)
        faults = [f"{fault['type']} at /{'/'.join(map(str, fault['loc']))}" for fault in details]
        raise ValidationFailedError("; ".join(faults[:MAX_FAULTS])) from None

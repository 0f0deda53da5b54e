"""BatchAuthorMatchesSuggestedV1."""

from typing import Annotated, Final, Literal, NotRequired
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints
from typing_extensions import TypedDict

from rules.errors import ValidationFailedError
from rules.messages.envelopes import Metadata, NoneIfInvalid, Wire, read, traceparent_of
from rules.messages.surrogates import without_halves
from rules.models import MatchResult, Record, Suggestion, SuggestionMessage, Trace

MAX_RESULTS: Final = 10_000
MAX_SUGGESTIONS: Final = 1_000
#: Far more than is kept (rules.matching): what is too long is cut, and no reason to refuse all.
MAX_REASONS: Final = 1_000
MAX_REASON: Final = 100_000
MAX_FILENAME: Final = 100_000


def _without_nul(text: str) -> str:
    """Return a text as PostgreSQL can store it."""
    return text.replace("\0", "")


Reason = Annotated[str, StringConstraints(max_length=MAX_REASON), AfterValidator(_without_nul)]


# A dict is read in two thirds of the time of a model, and of these there are many in a message.
class SuggestionWire(TypedDict):
    """One proposed student. Names and emails are not read: nothing here needs them."""

    __pydantic_config__ = Wire.model_config  # type: ignore[misc]  # as pydantic documents it

    student_id: UUID
    confidence_score: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    match_reasons: NotRequired[
        Annotated[list[Reason], Field(max_length=MAX_REASONS, fail_fast=True)]
    ]


class MatchResultWire(TypedDict):
    """The proposals for one essay."""

    __pydantic_config__ = Wire.model_config  # type: ignore[misc]

    essay_id: UUID
    # Only shown: a message is not refused for it.
    filename: NotRequired[Annotated[str | None, Field(max_length=MAX_FILENAME), NoneIfInvalid()]]
    suggestions: NotRequired[
        Annotated[list[SuggestionWire], Field(max_length=MAX_SUGGESTIONS, fail_fast=True)]
    ]


class MatchesSuggestedData(Wire):
    """The proposals for a batch."""

    batch_id: UUID
    class_id: UUID
    match_results: Annotated[list[MatchResultWire], Field(max_length=MAX_RESULTS, fail_fast=True)]


class MatchesSuggestedEnvelope(Wire):
    """The envelope of match suggestions; `event_type` comes in two spellings."""

    event_id: UUID
    event_type: Literal[
        "huleedu.batch.author.matches.suggested.v1", "batch.author.matches.suggested"
    ]
    correlation_id: UUID
    data: MatchesSuggestedData
    metadata: Metadata | None = None


def parse_suggestions(record: Record) -> SuggestionMessage:
    """Read match suggestions. Raises ValidationFailedError, whose text names places, not values."""
    envelope = _read(record.value or b"")
    return SuggestionMessage(
        event_id=envelope.event_id,
        trace=Trace(envelope.correlation_id, traceparent_of(record, envelope.metadata)),
        batch_id=envelope.data.batch_id,
        class_id=envelope.data.class_id,
        results=tuple(map(_match_result, envelope.data.match_results)),
    )


def _read(value: bytes) -> MatchesSuggestedEnvelope:
    """Read an envelope; halves of characters are mended where they are, which is rare."""
    try:
        return read(MatchesSuggestedEnvelope, value)
    except ValidationFailedError:
        mended = without_halves(value)
        if mended == value:
            raise
        return read(MatchesSuggestedEnvelope, mended)


def _match_result(wire: MatchResultWire) -> MatchResult:
    suggestions = [
        Suggestion(s["student_id"], s["confidence_score"], tuple(s.get("match_reasons", ())))
        for s in wire.get("suggestions", ())
    ]
    filename = wire.get("filename")
    return MatchResult(
        wire["essay_id"], tuple(suggestions), _without_nul(filename) if filename else None
    )

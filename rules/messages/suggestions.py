"""BatchAuthorMatchesSuggestedV1."""

from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

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


class SuggestionWire(Wire):
    """One proposed student. Names and emails are not read: nothing here needs them."""

    student_id: UUID
    confidence_score: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    match_reasons: list[Reason] = Field(
        default_factory=list, max_length=MAX_REASONS, fail_fast=True
    )


class MatchResultWire(Wire):
    """The proposals for one essay."""

    essay_id: UUID
    # Only shown: a message is not refused for it.
    filename: Annotated[str | None, Field(max_length=MAX_FILENAME), NoneIfInvalid()] = None
    suggestions: list[SuggestionWire] = Field(
        default_factory=list, max_length=MAX_SUGGESTIONS, fail_fast=True
    )


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
        results=tuple(_match_result(result) for result in envelope.data.match_results),
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
    suggestions = tuple(
        Suggestion(s.student_id, s.confidence_score, tuple(s.match_reasons))
        for s in wire.suggestions
    )
    filename = _without_nul(wire.filename) if wire.filename else None
    return MatchResult(wire.essay_id, suggestions, filename)

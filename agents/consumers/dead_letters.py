"""Dead-letters records that cannot be processed."""

from collections.abc import Sequence

from agents.consumers.replays import report_replays
from agents.consumers.retry import with_retry
from rules.dead_letters.messages import DeadLetter, Reason
from rules.errors import DataRefusedError
from rules.models import Record, Undecodable
from rules.progress import Progress
from rules.suggestions import Outcome
from store.protocols.inbox import InboxProtocol
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

_log = get_logger(__name__)


def undecodable_letter(record: Record, batch: Undecodable) -> DeadLetter:
    """Return the dead letter of a record batch that cannot be decoded: where it lies."""
    lies = f"offsets {batch.first_offset} to {record.offset}: {batch.fault}"
    return DeadLetter(record, Reason.UNDECODABLE, lies)


def poison_letter(record: Record, error: Exception) -> DeadLetter:
    """Return the dead letter of a record that made the store fail, with the error's type alone."""
    refused = isinstance(error, DataRefusedError)
    cause = error.__cause__ or error
    reason = Reason.REFUSED_BY_DATABASE if refused else Reason.PROCESSING_FAILED
    return DeadLetter(record, reason, f"{type(cause).__module__}.{type(cause).__qualname__}")


async def dead_letter(
    letters: Sequence[DeadLetter],
    agent: str,
    inbox: InboxProtocol,
    metrics: Metrics,
    reached: Sequence[Progress] = (),
) -> None:
    """Store dead letters, each delivery once, and progress; waits for the database."""
    await with_retry(lambda: inbox.dead_letter(letters, reached), agent, metrics)
    for letter in letters:
        metrics.messages.labels(agent, Outcome.DEAD_LETTERED.value).inc()
        _log.warning(
            "dead letter",
            agent=agent,
            reason=letter.reason.value,
            fault=letter.exception,
            topic=letter.record.topic,
            partition=letter.record.partition,
            offset=letter.record.offset,
        )
    outcome = Outcome.DEAD_LETTERED.value
    await report_replays([(letter.record, outcome) for letter in letters], agent, inbox, metrics)

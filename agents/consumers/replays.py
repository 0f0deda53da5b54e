"""Reports which replayed dead letters have been handled."""

from collections.abc import Sequence

from agents.consumers.retry import with_retry
from rules.dead_letters.letters import replay_mark
from rules.dead_letters.replays import endings
from rules.models import Record
from store.protocols.inbox import InboxProtocol
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

_log = get_logger(__name__)


def report_replay(record: Record, agent: str, outcome: str, metrics: Metrics) -> None:
    """Log and count the outcome of a record that is a replay."""
    mark = replay_mark(record)
    if mark is None:
        return
    metrics.replays.labels(agent, outcome).inc()
    _log.info(
        "replayed dead letter handled",
        agent=agent,
        outcome=outcome,
        letter=mark.letter.short if mark.letter else None,
        replay_id=str(mark.id),
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
    )


async def note_replays(
    records: Sequence[Record],
    agent: str,
    outcome: str,
    inbox: InboxProtocol,
    metrics: Metrics,
) -> None:
    """Store, log and count the outcome of the replays among records; waits for the database.

    For agents that store nothing else: the others store it in the transaction of their work.
    """
    ended = endings((record, outcome) for record in records)
    if not ended:
        return
    await with_retry(lambda: inbox.note_replays(ended), agent, metrics)
    for record in records:
        report_replay(record, agent, outcome, metrics)

"""Reports which replayed dead letters have been handled."""

from collections.abc import Iterable, Sequence

from agents.consumers.retry import with_retry
from rules.dead_letters.letters import ReplayMark, replay_mark
from rules.dead_letters.replays import endings
from rules.models import Record
from store.protocols.inbox import InboxProtocol
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

_log = get_logger(__name__)


async def report_replays(
    handled: Iterable[tuple[Record, str]], agent: str, inbox: InboxProtocol, metrics: Metrics
) -> None:
    """Log and count the outcomes of the records that are replays.

    Anybody can write the headers of one: only what `class-management dlt` has sent is a replay.
    """
    marked = [(record, outcome, m) for record, outcome in handled if (m := replay_mark(record))]
    if not marked:
        return
    ids = {mark.id for _, _, mark in marked}
    sent = await with_retry(lambda: inbox.sent_replays(list(ids)), agent, metrics)
    for record, outcome, mark in marked:
        if mark.id in sent:
            metrics.replays.labels(agent, outcome).inc()
            _log_replay(record, mark, agent, outcome)


def _log_replay(record: Record, mark: ReplayMark, agent: str, outcome: str) -> None:
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
    await report_replays([(record, outcome) for record in records], agent, inbox, metrics)

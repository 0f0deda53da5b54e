"""Pushes teacher notifications to Redis, in real time and as well as it can."""

from collections.abc import Sequence
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from agents.burying import bury, culprit, unreadable
from agents.messages import NotificationEnvelope, read
from agents.replays import note_replays
from rules.envelopes import to_json
from rules.errors import ValidationFailedError
from rules.models import Record
from store.protocols import AssociationRepositoryProtocol
from telemetry.logs import get_logger
from telemetry.metrics import Metrics

AGENT: Final = "notifications"

_log = get_logger(__name__)


class RealTimePusher:
    """Publishes to `ws:{user_id}`; what Redis does not take is counted and dropped."""

    def __init__(
        self,
        redis: Redis,
        associations: AssociationRepositoryProtocol,
        metrics: Metrics,
    ) -> None:
        self._redis = redis
        self._associations = associations
        self._metrics = metrics
        self._down = False

    async def take(self, records: Sequence[Record]) -> None:
        """Push a batch of notifications in one round trip."""
        self._metrics.batch_size.labels(AGENT).observe(len(records))
        pushes: list[tuple[str, bytes]] = []
        pushed: list[Record] = []
        for record in records:
            try:
                envelope = read(NotificationEnvelope, record.value)
                pushes.append((f"ws:{envelope.data.teacher_id}", message_of(envelope)))
                pushed.append(record)
            except ValidationFailedError as error:
                await bury([unreadable(record, error)], AGENT, self._associations, self._metrics)
            except Exception as error:  # noqa: BLE001  # nothing may leave the agent's loop
                await bury([culprit(record, error)], AGENT, self._associations, self._metrics)
        if pushes:
            await self._push(pushes)
            outcome = "not_pushed" if self._down else "pushed"
            await note_replays(pushed, AGENT, outcome, self._associations, self._metrics)

    async def _push(self, pushes: Sequence[tuple[str, bytes]]) -> None:
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for channel, message in pushes:
                    pipeline.publish(channel, message)
                await pipeline.execute()
        except (RedisError, OSError, TimeoutError) as error:
            self._drop(len(pushes), error)
        else:
            self._metrics.messages.labels(AGENT, "pushed").inc(len(pushes))
            if self._down:
                self._down = False
                _log.info("Redis back")

    def _drop(self, count: int, error: Exception) -> None:
        self._metrics.redis_dropped.inc(count)
        self._metrics.messages.labels(AGENT, "dropped").inc(count)
        if not self._down:
            self._down = True
            _log.warning("Redis away, real-time messages are dropped", exc_info=error)


def message_of(envelope: NotificationEnvelope) -> bytes:
    """Return what a teacher's browser gets (contract, section 4)."""
    notification = envelope.data
    return to_json(
        {
            "event": notification.notification_type,
            "data": {
                **notification.payload,
                "category": notification.category,
                "priority": notification.priority,
                "action_required": notification.action_required,
                "deadline": notification.deadline_timestamp,
                "batch_id": notification.batch_id,
                "class_id": notification.class_id,
                "correlation_id": notification.correlation_id,
                "timestamp": notification.timestamp,
                "event_id": envelope.event_id,
            },
        }
    )

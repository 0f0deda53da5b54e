"""Retries messages that wait for a class or a student."""

import asyncio
from typing import Final

from agents.consumers.elsewhere import report_elsewhere
from rules.messages.suggestions import parse_suggestions
from rules.suggestions import Outcome
from store.protocols.inbox import InboxProtocol
from telemetry.metrics import Metrics

AGENT: Final = "parked"
POLL_SECONDS: Final = 0.5
BATCHES_AT_ONCE: Final = 50


class ParkedRetry:
    """Retries the parked messages that are due."""

    def __init__(self, inbox: InboxProtocol, metrics: Metrics) -> None:
        self._inbox = inbox
        self._metrics = metrics

    async def run(self) -> None:
        """Keep retrying."""
        while True:
            handled = await self._inbox.retry_parked(parse_suggestions, BATCHES_AT_ONCE)
            report_elsewhere(handled.elsewhere, self._metrics)
            for outcome in handled.outcomes:
                self._metrics.messages.labels(AGENT, outcome.value).inc()
            if all(outcome is Outcome.PARKED for outcome in handled.outcomes):
                await asyncio.sleep(POLL_SECONDS)

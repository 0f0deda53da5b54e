"""Batches of the messages that wait in a Faust stream, in place of Faust's slow `take_events`.

`take_events` uses a task and a turn of the event loop for each message and polls every 10 ms: that
is most of a message's cost, and a lone one waits for the next poll. This takes all that wait, at
once; messages that arrive while a batch is handled form the next one.
"""

from collections.abc import AsyncIterator
from typing import Any

from agents.faust_support.records import record_of
from rules.models import Record


async def batches(stream: Any, most: int) -> AsyncIterator[list[Record]]:  # noqa: ANN401  # Faust's stream types do not fit
    """Yield batches of at most `most` records, in order, until the stream stops.

    A batch is acknowledged when the next one is requested; one whose handling is cancelled is not.
    """
    await stream.maybe_start()
    queue = stream.channel.queue
    while not stream.should_stop:
        try:
            events = [await queue.get()]
            while len(events) < most and not queue.empty():
                events.append(queue.get_nowait())
        except StopAsyncIteration:  # raised by Faust when it stops an agent
            return
        current = [event for event in events if _entered(stream, event)]
        if current:
            yield [record_of(event) for event in current]
            for event in current:
                event.ack()


def _entered(stream: Any, event: Any) -> bool:  # noqa: ANN401
    """Mark an event as in progress; return False for one from before a rebalance.

    The worker that owns its partition now reads it again, from the committed offset.
    """
    app, message = stream.app, event.message
    if not app.flow_control.is_active() or message.generation_id != app.consumer_generation_id:
        return False
    if not message.tracked:
        message.tracked = True
        app.consumer.unacked.add(message)
    return True

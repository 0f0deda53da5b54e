"""Batches of what waits in a Faust stream, in place of Faust's slow `take_events`.

`take_events` passes each message through a task of its own and a turn of the event
loop, and looks each 10 ms whether something has come: that is most of what a message costs, and a
lone one waits for the next look. This takes what is there, at once; what comes while a batch is
worked on is the next batch.
"""

from collections.abc import AsyncIterator
from typing import Any

from agents.faust_support.records import record_of
from rules.models import Record


async def batches(stream: Any, most: int) -> AsyncIterator[list[Record]]:  # noqa: ANN401  # Faust's stream types do not fit
    """Yield batches of at most `most` records, in their order, for as long as the stream runs.

    A batch is acknowledged when the next one is asked for, and not where its work was broken off.
    """
    await stream.maybe_start()
    queue = stream.channel.queue
    while not stream.should_stop:
        try:
            events = [await queue.get()]
            while len(events) < most and not queue.empty():
                events.append(queue.get_nowait())
        except StopAsyncIteration:  # Faust throws it in as it stops an agent
            return
        current = [event for event in events if _entered(stream, event)]
        if current:
            yield [record_of(event) for event in current]
            for event in current:
                event.ack()


def _entered(stream: Any, event: Any) -> bool:  # noqa: ANN401
    """Count an event as being worked on; False where it came before a rebalance.

    Those are read again, from what is committed, by the worker that has their partition now.
    """
    app, message = stream.app, event.message
    if not app.flow_control.is_active() or message.generation_id != app.consumer_generation_id:
        return False
    if not message.tracked:
        message.tracked = True
        app.consumer.unacked.add(message)
    return True

"""Batches of the messages that wait in a Faust stream, in place of Faust's slow `take_events`.

`take_events` uses a task and a turn of the event loop for each message and polls every 10 ms: that
is most of a message's cost, and a lone one waits for the next poll. This takes all that wait, at
once; messages that arrive while a batch is handled form the next one.
"""

import weakref
from collections.abc import AsyncIterator
from typing import Any

from faust.streams import _current_event

from agents.faust_support.runs import RUN_RECORDS
from rules.models import Record


async def batches(stream: Any, most: int) -> AsyncIterator[list[Record]]:  # noqa: ANN401  # Faust's stream types do not fit
    """Yield batches of at most `most` records, in order, until the stream stops.

    Only whole runs are taken, so `most` is at least RUN_RECORDS. A batch is acknowledged when the
    next one is requested; one whose handling is cancelled is not, nor one from before a rebalance.
    """
    await stream.maybe_start()
    queue = stream.channel.queue
    while not stream.should_stop:
        try:
            runs = [await queue.get()]
            room = most - len(runs[0].message.records)
            while room >= RUN_RECORDS and not queue.empty():
                runs.append(queue.get_nowait())
                room -= len(runs[-1].message.records)
        except StopAsyncIteration:  # raised by Faust when it stops an agent
            return
        app = stream.app
        current = [run for run in runs if app.flow_control.is_active() and _is_current(app, run)]
        if current:
            _current_event.set(weakref.ref(current[-1]))
            yield [record for run in current for record in run.message.records]
            for run in current:
                if _is_current(app, run):
                    run.ack()


async def singles(stream: Any) -> AsyncIterator[Record]:  # noqa: ANN401
    """Yield the records of one run after the other, in whose partition a table can be written.

    After a rebalance the rest of a run is left out: another worker may write that partition now.
    """
    async for records in batches(stream, RUN_RECORDS):
        generation = stream.app.consumer_generation_id
        for record in records:
            if stream.app.consumer_generation_id != generation:
                break
            yield record


def _is_current(app: Any, run: Any) -> bool:  # noqa: ANN401
    """Return False for what is from before a rebalance.

    The worker that owns its partition now reads it again, from the committed offset.
    """
    current: bool = run.message.generation_id == app.consumer_generation_id
    return current

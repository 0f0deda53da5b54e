"""Has the worker read a topic that was made anew: Faust and aiokafka know it by its name alone."""

from typing import Any


def rejoin(app: Any) -> None:  # noqa: ANN401  # as StreamWatch's
    """Have the consumer join its group again: it then reads from where that stands.

    Of a topic of the same name Faust drops every message below the offset that it has reached in
    the old one.
    """
    thread = getattr(app.consumer, "_thread", None)
    consumer = getattr(thread, "_consumer", None)
    coordinator: Any = getattr(consumer, "_coordinator", None)
    if thread is not None and coordinator is not None:
        thread.thread_loop.call_soon_threadsafe(coordinator.request_rejoin)

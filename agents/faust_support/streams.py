"""The Faust agents. No exception may leave their loops: see agents/consumers/bisect.py."""

from typing import Any, Final

import faust

from agents.consumers.gap_filler import GapFiller
from agents.consumers.timers import TimerWriter
from agents.faust_support.batches import batches, singles
from rules import topics
from store.client import Client, Share, work_as

CONSUMED: Final = frozenset({topics.MATCHES_SUGGESTED, topics.COMMANDS, topics.TIMERS})

MESSAGES: Final = Client(Share.MESSAGES)

SUGGESTIONS_AT_ONCE: Final = 100
COMMANDS_AT_ONCE: Final = 500


def register(
    app: faust.App, suggestions: GapFiller, commands: GapFiller, timers: TimerWriter
) -> None:
    """Register the agents, each with one reader per partition at a time."""

    async def read_suggestions(stream: Any) -> None:  # noqa: ANN401  # Faust's stream types do not fit
        work_as(MESSAGES)
        async for records in batches(stream, SUGGESTIONS_AT_ONCE):
            await suggestions.handle(records)

    async def read_commands(stream: Any) -> None:  # noqa: ANN401
        work_as(MESSAGES)
        async for records in batches(stream, COMMANDS_AT_ONCE):
            await commands.handle(records)

    async def read_timers(stream: Any) -> None:  # noqa: ANN401
        work_as(MESSAGES)
        # One by one: elsewhere Faust refuses to write a table.
        async for record in singles(stream):
            await timers.handle(record)

    app.agent(raw_topic(app, topics.MATCHES_SUGGESTED), name="suggestions")(read_suggestions)
    app.agent(raw_topic(app, topics.COMMANDS), name="commands")(read_commands)
    app.agent(raw_topic(app, topics.TIMERS), name="timers")(read_timers)


def raw_topic(app: faust.App, topic: str) -> Any:  # noqa: ANN401
    """Return a topic whose bytes stay unchanged: unreadable ones are dead-lettered."""
    return app.topic(
        topic, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
    )

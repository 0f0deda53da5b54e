"""The agents, as Faust runs them. Nothing may leave their loops: see agents/consumers/bisect.py."""

from dataclasses import dataclass
from typing import Any, Final

import faust

from agents.consumers.gap_filler import GapFiller
from agents.consumers.timers import TimerWriter
from agents.faust_support.batches import batches
from agents.faust_support.records import record_of
from rules import topics

CONSUMED: Final = frozenset({topics.MATCHES_SUGGESTED, topics.COMMANDS, topics.TIMERS})

SUGGESTIONS_AT_ONCE: Final = 100
COMMANDS_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class StreamHandlers:
    """What handles the messages that the agents read."""

    suggestions: GapFiller
    commands: GapFiller
    timers: TimerWriter


def register(app: faust.App, handlers: StreamHandlers) -> None:
    """Give an App its agents, each with one reader of a partition at a time."""

    async def suggestions(stream: Any) -> None:  # noqa: ANN401  # Faust's stream types do not fit
        async for records in batches(stream, SUGGESTIONS_AT_ONCE):
            await handlers.suggestions.handle(records)

    async def commands(stream: Any) -> None:  # noqa: ANN401
        async for records in batches(stream, COMMANDS_AT_ONCE):
            await handlers.commands.handle(records)

    async def timers(stream: Any) -> None:  # noqa: ANN401
        # Event by event: elsewhere Faust refuses to write a table.
        async for event in stream.events():
            await handlers.timers.handle(record_of(event))

    app.agent(raw_topic(app, topics.MATCHES_SUGGESTED), name="suggestions")(suggestions)
    app.agent(raw_topic(app, topics.COMMANDS), name="commands")(commands)
    app.agent(raw_topic(app, topics.TIMERS), name="timers")(timers)


def raw_topic(app: faust.App, topic: str) -> Any:  # noqa: ANN401
    """Return a topic whose bytes stay as they are: what cannot be read is for the dead letters."""
    return app.topic(
        topic, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
    )

"""The service's agent without its work: it reads batches of commands and discards them.

`python -m bench.floors.discard_agent PORT BOOTSTRAP_SERVERS SESSION_SECONDS GROUP TOPIC DATA_DIR`

Faust with the service's transport and its batches; without its table.
"""

import sys
from typing import Any

from aiohttp import web

from agents.faust_support.batches import batches
from agents.faust_support.runs import WAITING_RUNS
from agents.faust_support.streams import COMMANDS_AT_ONCE, raw_topic
from agents.faust_support.transport import use_own_transport
from bench.floors.discard_app import main, new_app
from bench.kafka import LARGEST_MESSAGE


def create_app(
    port: int, servers: str, session: float, group: str, topic: str, data_dir: str
) -> Any:  # noqa: ANN401
    """Return the App; its page /discarded returns how many commands it has read."""
    options = {"consumer_max_fetch_size": LARGEST_MESSAGE, "stream_buffer_maxsize": WAITING_RUNS}
    app = new_app(port, servers, session, group, data_dir, **options)
    use_own_transport(app)
    discarded = 0

    async def discard(stream: Any) -> None:  # noqa: ANN401  # Faust's stream types do not fit
        nonlocal discarded
        async for records in batches(stream, COMMANDS_AT_ONCE):
            discarded += len(records)

    async def count(_: web.Request) -> web.Response:
        return web.Response(text=str(discarded))

    app.agent(raw_topic(app, topic), name="discard")(discard)
    app.web.web_app.router.add_get("/discarded", count)
    return app


if __name__ == "__main__":
    main(create_app, sys.argv[1:])

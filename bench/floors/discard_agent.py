"""The service's own agent, doing nothing: it takes batches of commands and drops them.

`python -m bench.floors.discard_agent PORT BOOTSTRAP_SERVERS SESSION_SECONDS GROUP TOPIC DATA_DIR`

Faust with the service's transport and its way to take batches; without its table.
"""

import sys
from typing import Any, Final

import faust
import mode.loop
from aiohttp import web

from agents.faust_support.batches import batches
from agents.faust_support.streams import COMMANDS_AT_ONCE, raw_topic
from agents.faust_support.transport import use_own_transport
from devstack.ports import LOOPBACK

LARGEST_MESSAGE: Final = 8 * 1024 * 1024


def create_app(
    port: int, servers: str, session: float, group: str, topic: str, data_dir: str
) -> Any:  # noqa: ANN401
    """Return the App: /readyz answers 200 once it has partitions, /taken how much it has taken."""
    app: Any = faust.App(
        group,
        broker=f"kafka://{servers}",
        broker_session_timeout=session,
        broker_heartbeat_interval=session / 5,
        consumer_max_fetch_size=LARGEST_MESSAGE,
        web_bind=LOOPBACK,
        web_port=port,
        datadir=data_dir,
        autodiscover=False,
        topic_disable_leader=True,
    )
    use_own_transport(app)
    taken = 0

    async def drop(stream: Any) -> None:  # noqa: ANN401  # Faust's stream types do not fit
        nonlocal taken
        async for records in batches(stream, COMMANDS_AT_ONCE):
            taken += len(records)

    async def ready(_: web.Request) -> web.Response:
        joined = not app.rebalancing and app.consumer.assignment()
        return web.Response(status=200 if joined else 503)

    async def count(_: web.Request) -> web.Response:
        return web.Response(text=str(taken))

    app.agent(raw_topic(app, topic), name="drop")(drop)
    app.web.web_app.router.add_get("/readyz", ready)
    app.web.web_app.router.add_get("/taken", count)
    return app


def main(arguments: list[str]) -> None:
    """Run until SIGTERM."""
    mode.loop.use("uvloop")
    app = create_app(int(arguments[0]), arguments[1], float(arguments[2]), *arguments[3:6])
    worker = faust.Worker(app, override_logging=False, redirect_stdouts=False, quiet=True)
    worker.spinner = None
    worker.execute_from_commandline()


if __name__ == "__main__":
    main(sys.argv[1:])

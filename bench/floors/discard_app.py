"""Faust alone: an App with one agent that reads messages and discards them.

`python -m bench.floors.discard_app PORT BOOTSTRAP_SERVERS SESSION_SECONDS GROUP TOPIC DATA_DIR`
"""

import sys
from collections.abc import Callable
from typing import Any

import faust
import mode.loop
from aiohttp import web

from devstack.ports import LOOPBACK


def new_app(
    port: int,
    servers: str,
    session: float,
    group: str,
    data_dir: str,
    **options: Any,  # noqa: ANN401  # Faust's
) -> Any:  # noqa: ANN401
    """Return an App without agents; its page /readyz answers 200 once it has partitions."""
    app: Any = faust.App(
        group,
        broker=f"kafka://{servers}",
        broker_session_timeout=session,
        broker_heartbeat_interval=session / 5,
        web_bind=LOOPBACK,
        web_port=port,
        datadir=data_dir,
        autodiscover=False,
        topic_disable_leader=True,
        **options,
    )

    async def ready(_: web.Request) -> web.Response:
        joined = not app.rebalancing and app.consumer.assignment()
        return web.Response(status=200 if joined else 503)

    app.web.web_app.router.add_get("/readyz", ready)
    return app


def create_app(
    port: int, servers: str, session: float, group: str, topic: str, data_dir: str
) -> Any:  # noqa: ANN401
    """Return the App with its agent."""
    app = new_app(port, servers, session, group, data_dir)

    async def discard(stream: Any) -> None:  # noqa: ANN401  # Faust's stream types do not fit
        async for _ in stream.events():
            pass

    app.agent(app.topic(topic, value_type=bytes, value_serializer="raw"), name="discard")(discard)
    return app


def main(create: Callable[..., Any], arguments: list[str]) -> None:
    """Run an App until SIGTERM."""
    mode.loop.use("uvloop")
    app = create(int(arguments[0]), arguments[1], float(arguments[2]), *arguments[3:6])
    worker = faust.Worker(app, override_logging=False, redirect_stdouts=False, quiet=True)
    worker.spinner = None
    worker.execute_from_commandline()


if __name__ == "__main__":
    main(create_app, sys.argv[1:])

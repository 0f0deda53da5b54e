"""An HTTP server that runs until SIGTERM or SIGINT."""

import asyncio
import signal
from typing import Final

from aiohttp import web

from devstack.ports import LOOPBACK

#: The environment variable with the address of the floors' database.
FLOOR_DSN: Final = "BENCH_FLOOR_DSN"


async def serve(app: web.Application, port: int) -> None:
    """Serve on 127.0.0.1 until SIGTERM or SIGINT."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, port).start()
    await stopped()
    await runner.cleanup()


async def stopped() -> None:
    """Return when the process gets SIGTERM or SIGINT."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()

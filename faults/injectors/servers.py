"""Faults of a whole server: restarted, killed, hanging, away for minutes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from devstack.process import Server
from faults.injectors.scene import Fault, Play, Scene

#: Long enough for a clean stop: a longer one ends in a kill, which would be another fault.
STOP_SECONDS: Final = 60.0
START_SECONDS: Final = 120.0
GONE_SECONDS: Final = 600.0
#: With the start about 25 s after the first crash, when clients have begun to give up.
AGAIN_SECONDS: Final = 1.0, 12.0


def restart(name: str) -> Play:
    """Stop a server cleanly and start it at once."""
    return _without(name, _stop)


def kill(name: str) -> Play:
    """Kill a server, and start it at once."""
    return _without(name, Server.kill)


def kill_again(name: str) -> Play:
    """Kill a server, and again seconds after it is back: while its clients send what waited."""

    async def play(scene: Scene) -> int:
        await kill(name)(scene)
        await scene.sleep(scene.rng.uniform(*AGAIN_SECONDS))
        return 1 + await kill(name)(scene)

    return play


def away(name: str) -> Play:
    """Keep a server down for minutes."""
    return _without(name, _stop, lambda scene: scene.hold(45, 150))


def gone(name: str) -> Play:
    """Keep a server down for ten minutes, whatever the pace."""
    return _without(name, _stop, lambda scene: scene.sleep(GONE_SECONDS))


def _without(
    name: str,
    end: Callable[[Server], None],
    meanwhile: Callable[[Scene], Awaitable[None]] | None = None,
) -> Play:
    """Stop or kill a server, and start it after a time."""

    async def play(scene: Scene) -> int:
        server = _server(scene, name)
        await asyncio.to_thread(end, server)
        if meanwhile is not None:
            await meanwhile(scene)
        await asyncio.to_thread(server.start, START_SECONDS)
        return 1

    return play


def _stop(server: Server) -> None:
    server.stop(STOP_SECONDS)


def hang(name: str) -> Play:
    """Freeze a server: its connections stay, and nothing answers."""

    async def play(scene: Scene) -> int:
        server = _server(scene, name)
        server.pause()
        try:
            await scene.hold(10, 40)
        finally:
            server.resume()
        return 1

    return play


def _server(scene: Scene, name: str) -> Server:
    server: Server = getattr(scene.rig, name)
    return server


FAULTS = {
    **{
        f"{server}_{word}": Fault(
            server, make(server), kills_kafka=(server, word) == ("kafka", "kill")
        )
        for server in ("kafka", "postgres")
        for word, make in (("restart", restart), ("kill", kill), ("away", away), ("hang", hang))
    },
    "kafka_kill_again": Fault("kafka", kill_again("kafka"), seconds=60.0, kills_kafka=True),
    "redis_kill": Fault("redis", kill("valkey")),
    "redis_away": Fault("redis", away("valkey")),
    "redis_hang": Fault("redis", hang("valkey")),
    **{
        f"{word}_gone": Fault(word, gone(name), seconds=GONE_SECONDS + 60, only_if_asked=True)
        for word, name in (("kafka", "kafka"), ("postgres", "postgres"), ("redis", "valkey"))
    },
}

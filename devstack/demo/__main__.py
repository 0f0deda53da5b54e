"""The command line: `python -m devstack.demo`, behind `make demo`."""

import argparse
import asyncio
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import aiohttp
from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from devstack import demo
from devstack.console import console
from devstack.demo.addresses import Addresses, read_addresses
from devstack.demo.connections import opened
from devstack.demo.errors import DemoError
from devstack.demo.stage import NOBODY, Stage
from devstack.run import STACK_ENV
from devstack.stack import RUN_DIR

PLAIN_WIDTH: Final = 140  # columns if the output is not a terminal


async def run(stage: Stage, addresses: Addresses) -> None:
    """Play the day. Raises `DemoError` if something expected does not arrive."""
    async with opened(stage, addresses) as day:
        stage.say(NOBODY, f"The service answers at {addresses.http}.")
        stage.say(NOBODY, f"Today's teacher is {day.teacher_id}.")
        await day.play()
        console = f"{addresses.http}/console"
        stage.say(NOBODY, f"Look at it yourself: {console}, signed in as {day.teacher_id}.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m devstack.demo", description=demo.__doc__)
    parser.add_argument(
        "--stack-env", type=Path, default=RUN_DIR / STACK_ENV, help="written by make run"
    )
    path = parser.parse_args(arguments).stack_env
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # names in a script that the output cannot encode
    try:
        asyncio.run(run(Stage(console(None, PLAIN_WIDTH)), read_addresses(path)))
    except (DemoError, aiohttp.ClientError, KafkaError, RedisError, OSError) as error:
        print(f"demo: {error or type(error).__name__}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The command line of the development stack: `python -m devstack run`."""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from devstack.process import DevstackError
from devstack.run import Options, run
from devstack.stack import PREFIX, RUN_DIR
from devstack.worker import COMMAND

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 5002
LAST_PORT = 65_535
READY_SECONDS = 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the service with these arguments and the environment; return the exit code."""
    given = _parser().parse_args(arguments)
    environ = dict(os.environ)
    if given.timeout_hours is not None:
        environ[PREFIX + "TIMEOUT_HOURS"] = str(given.timeout_hours)
    if given.broker is not None:
        environ["BROKER"] = given.broker
    options = Options(
        run_dir=given.run_dir.absolute(),
        host=given.host,
        port=given.port,
        service=shlex.split(given.service),
        ready_seconds=given.ready_seconds,
    )
    try:
        return run(options, environ)
    except (DevstackError, OSError) as error:  # the latter: a folder that cannot be made or written
        print(f"devstack: {error}", file=sys.stderr)
        return 1


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """End with one line: what is wrong may come from the environment, too."""
        self.exit(2, f"devstack: {message}\n")


def _parser() -> argparse.ArgumentParser:
    """Return the parser; defaults come from the service's own variables."""
    parser = _Parser(prog="python -m devstack", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser(
        "run",
        help="run the service on embedded servers until Ctrl-C or SIGTERM",
        description="Run the service on an embedded PostgreSQL, broker and Valkey. "
        f"{PREFIX}DATABASE_URL, _KAFKA_BOOTSTRAP_SERVERS and _REDIS_URL each replace one "
        "by a server that runs elsewhere; all other variables reach the service as they are.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = command.add_argument
    add("--host", default=_default("HOST", DEFAULT_HOST), help="where the service listens")
    add("--port", default=_default("PORT", str(DEFAULT_PORT)), type=_port, help="its port")
    add("--broker", choices=("embedded", "apache"), help="which broker runs; else $BROKER")
    add("--timeout-hours", type=float, help="hours until the clock decides, as 0.01")
    add("--ready-seconds", type=float, default=READY_SECONDS, help="how long it may take to start")
    add("--run-dir", type=Path, default=RUN_DIR, help="where data, logs and stack.env lie")
    add(
        "--service",
        default=shlex.quote(COMMAND),
        help="the command to run in place of class-management",
    )
    return parser


def _default(name: str, otherwise: str) -> str:
    return os.environ.get(PREFIX + name) or otherwise


def _port(text: str) -> int:
    """Read a port number. Raises `ArgumentTypeError`."""
    if text.isdecimal() and 0 < int(text) <= LAST_PORT:
        return int(text)
    raise argparse.ArgumentTypeError(f"({PREFIX}PORT) {text!r} is no port: 1 to {LAST_PORT}")


if __name__ == "__main__":
    sys.exit(main())

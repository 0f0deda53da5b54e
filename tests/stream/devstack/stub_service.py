"""Stands in for `class-management` where only the devstack is tested.

The environment variable STUB makes it misbehave: `deaf` ignores SIGTERM, `unready` never
becomes ready, `unmigrated` fails in `migrate`. SIGUSR1 makes the worker end by itself.
"""

import http.server
import os
import signal
import sys
import threading
from types import FrameType

PREFIX = "CLASS_MANAGEMENT_SERVICE_"
STUB = os.environ.get("STUB", "")


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers every GET, with 503 where it is not to become ready."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(503 if STUB == "unready" else 200)
        self.end_headers()
        self.wfile.write(b'{"status": "stub"}')

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep quiet."""


def work() -> None:
    """Serve until SIGTERM."""
    address = (os.environ[PREFIX + "HOST"], int(os.environ[PREFIX + "PORT"]))
    server = http.server.ThreadingHTTPServer(address, Handler)

    def end(_number: int, _frame: FrameType | None) -> None:
        if STUB != "deaf":
            threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGUSR1, lambda *_: os._exit(7))
    server.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["migrate"]:
            sys.exit("no such relation" if STUB == "unmigrated" else None)
        case ["topics", "create"]:
            pass
        case ["worker"]:
            work()

"""TCP ports on this machine."""

import errno
import random
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"
LOWEST_PORT = 20_000
WANTED_RANGE = 1_000
TRIES = 1_000


def free_port() -> int:
    """Return a TCP port on which nothing listens, each time another one.

    It stays reserved until this program ends, also while its server is stopped: other programs,
    such as tests that run side by side, get other ports here.

    It lies below the range from which the kernel takes the ports of outgoing
    connections. Inside that range a client that keeps trying to reach a stopped
    server can be given the server's own port and so connect to itself; then the
    server can't come back.

    Raises `OSError` where a thousand tries found none.
    """
    first, last = _range()
    for _ in range(TRIES):
        port = random.randint(first, last)  # noqa: S311 (no secret)
        if _reserve(port) and is_free(LOOPBACK, port):
            return port
    raise OSError(errno.EADDRINUSE, f"no free port between {first} and {last}")


def reachable(host: str) -> str:
    """Return the address at which to ask a server that listens on `host`."""
    every = {"0.0.0.0": LOOPBACK, "::": "::1"}  # noqa: S104  # listens on all, asked on one
    return every.get(host, host)


def is_free(host: str, port: int) -> bool:
    """Return whether a server could listen there now.

    Raises `OSError` where the host is not this machine's or the port not ours to take.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind, protocol) as probe:
        # As servers do: what lingers of an earlier server's connections is no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
    return True


def _reserve(port: int) -> bool:
    """Reserve the port among the programs that ask here; return False where it is taken.

    An abstract socket marks it: it leaves no file behind, and the kernel removes it with the
    program, however that ends.
    """
    mark = socket.socket(socket.AF_UNIX)
    try:
        mark.bind(f"\0class-management-port-{port}")
    except OSError as error:
        mark.close()
        if error.errno != errno.EADDRINUSE:
            raise
        return False
    mark.detach()  # stays open
    return True


def _range() -> tuple[int, int]:
    """Return the first and the last port to choose from."""
    text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii")
    first_outgoing = int(text.split()[0])
    if first_outgoing > LOWEST_PORT + WANTED_RANGE:
        return LOWEST_PORT, first_outgoing - 1
    return LOWEST_PORT, 65_535

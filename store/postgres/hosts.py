"""The hosts in the address of a database."""

from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

DEFAULT_PORT: Final = 5432

#: What `target_session_attrs` may ask for, since the service writes: the service itself asks for
#: "read-write", which has what the others ask for.
WRITING: Final = frozenset({"any", "primary", "read-write"})


def hosts_of(dsn: str) -> list[tuple[str, int]]:
    """Return every host with its port, in their order; none where the address names none.

    Raises ValueError for what is no port.
    """
    parts = urlsplit(dsn)
    query = parse_qs(parts.query)
    listed = parts.netloc.rpartition("@")[2] or query.get("host", [""])[-1]
    ports = query.get("port", [""])[-1].split(",")
    names = [_split(unquote(host)) for host in listed.split(",")] if listed else []
    if len(ports) != len(names):
        ports = ports[:1] * len(names)
    pairs = zip(names, ports, strict=True)
    return [(host, _port(port or shared)) for (host, port), shared in pairs]


def wanted_server(dsn: str) -> str:
    """Return the kind of server that the address asks for (`target_session_attrs`)."""
    return parse_qs(urlsplit(dsn).query).get("target_session_attrs", ["read-write"])[-1]


def _split(host: str) -> tuple[str, str]:
    if host.startswith("/"):  # the folder of a Unix socket
        return host, ""
    if host.startswith("["):
        address, _, port = host[1:].partition("]")
        return address, port.removeprefix(":")
    name, _, port = host.partition(":")
    return name, port


def _port(text: str) -> int:
    port = int(text) if text else DEFAULT_PORT
    if not 0 < port < 1 << 16:
        raise ValueError(f"{port} is no port")
    return port

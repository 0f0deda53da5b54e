"""The addresses of this worker and of the servers it uses."""

import ipaddress
import socket
from collections.abc import Iterable
from typing import Final

from class_management.settings import Settings
from store.postgres.hosts import hosts_of

#: The values of `HOST` that mean every address, and the family of those addresses.
_WILDCARDS: Final = {
    "0.0.0.0": socket.AF_INET,  # noqa: S104  # nothing is bound here
    "::": socket.AF_INET6,
}
_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # nothing is bound here


def worker_name(port: int) -> str:
    """Return the name of this worker in the registry."""
    return f"{socket.gethostname()}:{port}"


def advertised_url(settings: Settings) -> str:
    """Return the URL at which the other workers reach this one."""
    if settings.advertised_url is not None:
        return settings.advertised_url
    database = [] if settings.use_mock_repository else database_servers(settings.database_url)
    servers = [*database, *kafka_servers(settings.kafka_bootstrap_servers)]
    return own_url(settings.host, settings.port, servers)


def loopback_url(settings: Settings) -> str:
    """Return the URL at which a program on this machine reaches the service."""
    return _url(_LOOPBACK.get(settings.host, settings.host), settings.port)


def own_url(host: str, port: int, servers: Iterable[tuple[str, int]]) -> str:
    """Return the URL of a service that listens at `host`.

    If `host` is a wildcard, it is the local address from which this machine connects to `servers`,
    since the other workers use the same ones. A server on loopback counts last: it may be a proxy.
    """
    family = _WILDCARDS.get(host)
    if family is None:
        return _url(host, port)
    found = [address for server in servers if (address := _address_towards(server, family))]
    outside = (address for address in found if not ipaddress.ip_address(address).is_loopback)
    return _url(next(outside, None) or next(iter(found), socket.gethostname()), port)


def database_servers(url: str) -> list[tuple[str, int]]:
    """Return hosts and ports of the database; a Unix socket is none."""
    return [server for server in hosts_of(url) if not server[0].startswith("/")]


def kafka_servers(bootstrap_servers: str) -> list[tuple[str, int]]:
    """Return hosts and ports of Kafka's brokers."""
    pairs = (server.rpartition(":") for server in bootstrap_servers.split(","))
    return [(host.strip("[]"), int(port)) for host, _, port in pairs]


def _address_towards(server: tuple[str, int], family: socket.AddressFamily) -> str | None:
    """Return the local address of a connection to a server; no packet is sent."""
    try:
        *_, remote = socket.getaddrinfo(*server, family=family, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as connection:
            connection.connect(remote)
            address: str = connection.getsockname()[0]
    except OSError:
        return None
    return address.partition("%")[0]


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

"""Where the other workers reach this one."""

import ipaddress
import socket
from urllib.parse import urlsplit

import pytest

from class_management.address import database_servers, kafka_servers, own_url

#: Nobody's (RFC 5737, RFC 3849): nothing is sent there.
OUTSIDE = ("192.0.2.1", 5432)
HERE = ("127.0.0.1", 5432)
#: Only over IPv6, which a service that listens on IPv4 cannot be reached by.
SIX = ("::1", 5432)
EVERYWHERE = "0.0.0.0"  # noqa: S104  # nothing is bound here


def has_a_way_out() -> bool:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
            way.connect(OUTSIDE)
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:5002"),
        ("10.1.2.3", "http://10.1.2.3:5002"),
        ("worker-1", "http://worker-1:5002"),
        ("fd00::1", "http://[fd00::1]:5002"),
    ],
)
def test_an_address_that_is_one_counts(host: str, url: str) -> None:
    assert own_url(host, 5002, [OUTSIDE]) == url


def test_with_servers_on_this_machine_only_the_address_is_its_own() -> None:
    assert own_url(EVERYWHERE, 5002, [HERE]) == "http://127.0.0.1:5002"
    assert own_url(EVERYWHERE, 5002, [SIX, HERE]) == "http://127.0.0.1:5002"


@pytest.mark.skipif(not has_a_way_out(), reason="this machine has no network")
def test_the_way_out_counts_more_than_a_proxy_on_this_machine() -> None:
    host = urlsplit(own_url(EVERYWHERE, 5002, [HERE, SIX, OUTSIDE])).hostname
    assert host is not None
    assert not ipaddress.ip_address(host).is_loopback


def test_without_a_server_that_can_be_reached_it_is_the_machines_name() -> None:
    assert own_url(EVERYWHERE, 5002, [SIX]) == f"http://{socket.gethostname()}:5002"
    assert own_url("::", 5002, []) == f"http://{socket.gethostname()}:5002"


def test_servers_are_read_from_the_settings() -> None:
    assert database_servers("postgresql://u:p@db:6432/x") == [("db", 6432)]
    assert database_servers("postgresql://u:p@db/x") == [("db", 5432)]
    assert database_servers("postgresql://u:p@a:1,b/x") == [("a", 1), ("b", 5432)]
    assert database_servers("postgresql:///x?host=/run/postgresql") == []
    assert kafka_servers("a:9092,[fd00::1]:9093") == [("a", 9092), ("fd00::1", 9093)]

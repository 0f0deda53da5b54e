import socket
from pathlib import Path

import pytest

from devstack.ports import LOOPBACK, free_port, is_free


def test_free_ports_differ_and_are_no_ports_of_outgoing_connections() -> None:
    text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii")
    first_outgoing = int(text.split()[0])
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == len(ports)
    assert max(ports) < first_outgoing


def test_a_port_with_a_listener_is_not_free() -> None:
    port = free_port()
    with socket.create_server((LOOPBACK, port)):
        assert not is_free(LOOPBACK, port)
    assert is_free(LOOPBACK, port)


def test_an_address_of_another_machine_is_an_error() -> None:
    with pytest.raises(OSError, match="assign"):
        is_free("192.0.2.1", free_port())

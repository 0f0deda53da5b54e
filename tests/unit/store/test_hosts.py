"""The hosts in the address of a database are read as asyncpg reads them."""

from typing import Any

import pytest
from asyncpg import connect_utils
from hypothesis import given
from hypothesis import strategies as st

from store.postgres.hosts import hosts_of

ports = st.integers(1, 65535)
hosts = st.sampled_from(["db-1", "db-2.example", "[fd00::1]", "10.0.0.1"])
listed = st.lists(st.tuples(hosts, st.none() | ports), min_size=1, max_size=3)


def as_asyncpg_reads(dsn: str) -> list[tuple[str, int]]:
    arguments = (
        *("host", "port", "user", "password", "passfile", "database", "ssl", "service"),
        *("servicefile", "direct_tls", "server_settings", "target_session_attrs"),
        *("krbsrvname", "gsslib"),
    )
    parse: Any = vars(connect_utils)["_parse_connect_dsn_and_args"]
    addresses, _ = parse(dsn=dsn, **dict.fromkeys(arguments))
    return list(addresses)


@given(listed)
def test_hosts_before_the_path(several: list[tuple[str, int | None]]) -> None:
    text = ",".join(host if port is None else f"{host}:{port}" for host, port in several)
    dsn = f"postgresql://u:p%40@{text}/db?sslmode=disable"
    assert hosts_of(dsn) == as_asyncpg_reads(dsn)


@pytest.mark.parametrize(
    "query", ["host=a,b", "host=a:1,b:2", "host=a,b&port=1,2", "host=a&port=7", "host=a"]
)
def test_hosts_in_the_query(query: str) -> None:
    dsn = f"postgresql://u:p@/db?sslmode=disable&{query}"
    assert hosts_of(dsn) == as_asyncpg_reads(dsn)

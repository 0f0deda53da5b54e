"""Which format a scraper gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from telemetry.exposition import OPENMETRICS, prefers_openmetrics, rendered

#: What Prometheus 2.50 and 3.5 send.
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)


@pytest.mark.parametrize(
    "accept", [PROMETHEUS_2, PROMETHEUS_3, OPENMETRICS, f'{OPENMETRICS.upper()}; Version="1.0.0"']
)
def test_open_metrics_is_for_those_who_prefer_it(accept: str) -> None:
    assert prefers_openmetrics(accept)


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "text/plain",
        f"{OPENMETRICS};q=0",
        f"{OPENMETRICS};q=0.2, text/plain;q=0.9",
        f"{OPENMETRICS};version=2.0.0",
        f"{OPENMETRICS};version=abc",
        f"{OPENMETRICS};q=nan",
        f"{OPENMETRICS};q=x",
    ],
)
def test_everybody_else_gets_plain_text(accept: str) -> None:
    assert not prefers_openmetrics(accept)


@given(st.text(alphabet=f'{OPENMETRICS};,=q.0123456789"*versin \t\\', max_size=80))
def test_any_header_is_answered(accept: str) -> None:
    body, content_type = rendered(CollectorRegistry(), accept)
    assert body == (b"# EOF\n" if content_type.startswith(OPENMETRICS) else b"")

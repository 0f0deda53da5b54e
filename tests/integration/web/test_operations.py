"""Health and metrics."""

import io
import re
from collections.abc import Callable, Iterator
from typing import TextIO

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics import parser
from prometheus_client.parser import text_string_to_metric_families

from rules.ids import new_id
from tests.integration.web.api import Api

open_metrics: Callable[[TextIO], Iterator[Metric]] = parser.text_fd_to_metric_families


async def test_health_tells_everything(api: Api) -> None:
    reply = await api.get("/healthz", user=None)
    assert reply.status == 200
    assert reply.json == {
        "service": "class_management_service",
        "status": "healthy",
        "version": "1.2.3",
        "checks": {"event_loop": "ok"},
        "dependencies": {"database": "ok", "kafka": "ok", "redis": "ok", "stream": "ok"},
        "environment": "test",
    }


@pytest.mark.parametrize("path", ["/livez", "/readyz/"])
async def test_probes_answer_anybody(api: Api, path: str) -> None:
    assert (await api.get(path, user=None)).status == 200


async def test_metrics_count_by_route_and_never_by_path(api: Api) -> None:
    class_id = await api.new_class()
    for path in (f"/v1/classes/{class_id}", f"/v1/classes/{class_id}/", f"/v1/{new_id()}", "/x"):
        await api.get(path)
    await api.send("PURGE", "/v1/classes")
    reply = await api.get("/metrics", user=None)
    assert reply.headers["Content-Type"].startswith("text/plain")
    text = reply.body.decode()
    counted = re.findall(r"class_management_http_requests_total\{(.*)\} (.*)", text)
    assert {labels: count for labels, count in counted if count != "0.0"} == {
        'method="POST",route="/v1/classes",status="201"': "1.0",
        'method="GET",route="/v1/classes/{class_id}",status="200"': "2.0",
        'method="GET",route="unmatched",status="404"': "2.0",
        'method="other",route="unmatched",status="405"': "1.0",
    }
    timed = 'class_management_http_request_seconds_count{method="GET",route="unmatched"} 2.0'
    assert timed in text
    assert class_id not in text


async def test_metrics_are_open_metrics_where_a_scraper_asks_for_them(api: Api) -> None:
    accept = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3"
    reply = await api.get("/metrics", user=None, headers={"Accept": accept})
    assert reply.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    families = list(open_metrics(io.StringIO(reply.body.decode())))
    assert "class_management_http_requests" in {family.name for family in families}
    head = await api.send("HEAD", "/metrics", user=None, headers={"Accept": accept})
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Type"] == reply.headers["Content-Type"]


@pytest.mark.parametrize("accept", ["application/openmetrics-text;version=abc", ";,q=;", "*/*"])
async def test_what_cannot_be_served_as_open_metrics_is_plain_text(api: Api, accept: str) -> None:
    reply = await api.get("/metrics", user=None, headers={"Accept": accept})
    assert (reply.status, reply.headers["Content-Type"]) == (
        200,
        "text/plain; version=0.0.4; charset=utf-8",
    )
    assert list(text_string_to_metric_families(reply.body.decode()))


async def test_the_failures_of_every_path_are_counted_from_0(api: Api) -> None:
    text = (await api.get("/metrics", user=None)).body.decode()
    for method, route in (("POST", "/v1/classes"), ("GET", "/readyz")):
        labels = f'method="{method}",route="{route}",status="503"'
        assert f"class_management_http_requests_total{{{labels}}} 0.0" in text

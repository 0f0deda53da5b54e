"""Health and metrics."""

import re

import pytest

from rules.ids import new_id
from tests.integration.web.api import Api


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
    assert dict(counted) == {
        'method="POST",route="/v1/classes",status="201"': "1.0",
        'method="GET",route="/v1/classes/{class_id}",status="200"': "2.0",
        'method="GET",route="unmatched",status="404"': "2.0",
        'method="other",route="unmatched",status="405"': "1.0",
    }
    timed = 'class_management_http_request_seconds_count{method="GET",route="unmatched"} 2.0'
    assert timed in text
    assert class_id not in text

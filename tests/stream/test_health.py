"""What those who operate the service see of it."""

import re
from typing import Any, Final

import pytest
from prometheus_client.parser import text_string_to_metric_families

from devstack.rig.http import Http, Teacher, yes
from devstack.rig.kafka import CONFIRMED, Topics
from devstack.rig.service import ServiceProcess
from devstack.rig.suggestions import suggest
from devstack.rig.waiting import until

UUID_ANYWHERE: Final = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}")

FAMILIES: Final = {
    "class_management_http_requests",
    "class_management_http_request_seconds",
    "class_management_messages",
    "class_management_batch_messages",
    "class_management_retries",
    "class_management_outbox_published",
    "class_management_outbox_depth",
    "class_management_outbox_age_seconds",
    "class_management_outbox_refused",
    "class_management_outbox_set_aside_messages",
    "class_management_pending_associations",
    "class_management_parked_messages",
    "class_management_timers_held",
    "class_management_timer_lateness_seconds",
    "class_management_reconciled_batches",
    "class_management_redis_dropped",
    "class_management_database_pool_connections",
    "class_management_database_pool_idle",
}


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/livez", "/healthz/"])
@pytest.mark.usefixtures("service")
async def test_a_worker_says_that_it_is_well(http: Http, path: str) -> None:
    # One that has just started may not have asked everything yet.
    body = await until(f"a good answer from {path}", lambda: well(http, path))
    assert body.keys() == {
        "service",
        "status",
        "version",
        "checks",
        "dependencies",
        "environment",
    }
    assert (body["service"], body["status"]) == ("class_management_service", "healthy")
    assert body["dependencies"].keys() == {"database", "kafka", "redis", "stream"}
    assert set(body["checks"].values()) == {"ok"}
    if path.startswith("/healthz"):
        assert set(body["dependencies"].values()) == {"ok"}


async def well(http: Http, path: str) -> dict[str, Any]:
    """Return the health of a worker that reaches everything, and {} before that."""
    status, body = await http.health(path)
    states = set(body["dependencies"].values())
    return body if status == 200 and states <= {"ok", "not checked"} else {}


async def test_metrics_count_what_happens_and_name_nobody(teacher: Teacher, topics: Topics) -> None:
    roster = await teacher.new_roster(1)
    batch = suggest(roster.class_id, [(roster.student_ids[0], 0.9)])
    await topics.suggest(batch)
    await teacher.stored(batch.batch_id)
    await teacher.confirm(batch.batch_id, yes(*batch.essay_ids))
    await topics.expect(CONFIRMED, batch.batch_id)
    await teacher.send("GET", "/v1/nowhere/at/all")
    await teacher.batch("no-uuid")

    reply = await teacher.http.send("GET", "/metrics")
    assert reply.status == 200
    families = {f.name: f for f in text_string_to_metric_families(reply.body.decode())}
    assert families.keys() >= FAMILIES
    labels = {
        value
        for name in FAMILIES
        for sample in families[name].samples
        for value in sample.labels.values()
    }
    batch_route = "/v1/batches/{batch_id}/student-associations"
    assert {batch_route, "suggestions", "stored", "unmatched", "404"} <= labels
    for value in labels:
        assert not UUID_ANYWHERE.search(value)
        assert teacher.id not in value
    assert "/v1/nowhere/at/all" not in labels


async def test_faust_shows_nothing_of_its_own(http: Http, service: ServiceProcess) -> None:
    assert service.pid is not None
    for path in ("/table", "/table/", "/router", "/graph", "/stats", "/stats/"):
        assert (await http.send("GET", path)).status == 404

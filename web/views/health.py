"""The health and metrics of the service."""

from http import HTTPStatus
from typing import Final

from aiohttp import web

from telemetry.health import HealthReport
from web.answers import answer
from web.calls import Call
from web.identity import Access
from web.operations import Answer, Handler, Operation, Tag
from web.schemas.health import Health
from web.services import WebServices

LIVE: Final = "/livez"
READY: Final = "/readyz"

_DEPENDENCIES: Final = ("database", "kafka", "redis", "stream")


async def show_health(services: WebServices, _call: Call) -> web.Response:
    """Answer the whole state of the service, for a person."""
    return _answer(services, await services.health.full())


async def show_live(services: WebServices, _call: Call) -> web.Response:
    """Answer whether the process must be restarted."""
    return _answer(services, await services.health.live())


async def show_ready(services: WebServices, _call: Call) -> web.Response:
    """Answer whether requests may be sent here."""
    return _answer(services, await services.health.ready())


def _answer(services: WebServices, report: HealthReport) -> web.Response:
    config = services.config
    body = {
        "service": config.service_name,
        "status": report.status,
        "version": config.version,
        "checks": report.checks,
        "dependencies": dict.fromkeys(_DEPENDENCIES, "not checked") | dict(report.dependencies),
        "environment": config.environment,
    }
    status = HTTPStatus.OK if report.ok else HTTPStatus.SERVICE_UNAVAILABLE
    return answer(body, status=status)


async def show_metrics(services: WebServices, call: Call) -> web.Response:
    """Answer the metrics."""
    accept = ",".join(call.request.headers.getall("Accept", ()))
    body, content_type = services.metrics.render(accept)
    return web.Response(body=body, headers={"Content-Type": content_type})


def _health(path: str, name: str, summary: str, handler: Handler, no: str) -> Operation:
    answers = {
        HTTPStatus.OK: Answer("Yes.", Health),
        HTTPStatus.SERVICE_UNAVAILABLE: Answer(no, Health),
    }
    return Operation(
        "GET", path, name, summary, Tag.OPERATIONS, handler, answers, access=Access.ANYBODY
    )


OPERATIONS: Final = (
    _health(
        "/healthz",
        "getHealth",
        "Get the whole state of the process",
        show_health,
        "It is not well.",
    ),
    _health(LIVE, "isLive", "Ask whether it makes progress", show_live, "Restart it."),
    _health(READY, "isReady", "Ask whether it can answer", show_ready, "Not now."),
    Operation(
        "GET",
        "/metrics",
        "getMetrics",
        "Get the metrics",
        Tag.OPERATIONS,
        show_metrics,
        {
            HTTPStatus.OK: Answer(
                "In Prometheus's text format, or as OpenMetrics for who accepts that.",
                media_types=("text/plain", "application/openmetrics-text"),
            )
        },
        access=Access.ANYBODY,
    ),
)

#: Routes that are asked whatever the answer: a 503 of these fails nobody.
PROBES: Final = frozenset(operation.path for operation in OPERATIONS)

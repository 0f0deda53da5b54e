"""What those who operate the service ask for."""

from http import HTTPStatus
from typing import ClassVar

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from telemetry.health import HealthReport
from web.answers import answer
from web.identity import Access
from web.services import WebConfig
from web.views.base import ApiView

_DEPENDENCIES = ("database", "kafka", "redis", "stream")


class HealthView(ApiView):
    """How the service is, for a person."""

    view_path = "/healthz"
    access: ClassVar[Access] = Access.ANYBODY

    async def get(self, _request: web.Request) -> web.Response:
        """Return everything that is known."""
        return health_answer(await self.services.health.full(), self.services.config)


class LiveView(ApiView):
    """Whether the process must be restarted."""

    view_path = "/livez"
    access: ClassVar[Access] = Access.ANYBODY

    async def get(self, _request: web.Request) -> web.Response:
        """Return whether it makes progress."""
        return health_answer(await self.services.health.live(), self.services.config)


class ReadyView(ApiView):
    """Whether requests may be sent here."""

    view_path = "/readyz"
    access: ClassVar[Access] = Access.ANYBODY

    async def get(self, _request: web.Request) -> web.Response:
        """Return whether it can serve."""
        return health_answer(await self.services.health.ready(), self.services.config)


class MetricsView(ApiView):
    """The Prometheus metrics."""

    view_path = "/metrics"
    access: ClassVar[Access] = Access.ANYBODY

    async def get(self, _request: web.Request) -> web.Response:
        """Return all of them."""
        headers = {"Content-Type": CONTENT_TYPE_LATEST}
        return web.Response(body=self.services.metrics.render(), headers=headers)


def health_answer(report: HealthReport, config: WebConfig) -> web.Response:
    """Return a report; the status code says whether all is well."""
    body = {
        "service": config.service_name,
        "status": "healthy" if report.ok else "unhealthy",
        "version": config.version,
        "checks": report.checks,
        "dependencies": dict.fromkeys(_DEPENDENCIES, "not checked") | dict(report.dependencies),
        "environment": config.environment,
    }
    status = HTTPStatus.OK if report.ok else HTTPStatus.SERVICE_UNAVAILABLE
    return answer(body, status=status)

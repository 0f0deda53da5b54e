"""The health and metrics of the service."""

from http import HTTPStatus
from typing import ClassVar

from aiohttp import web

from telemetry.health import HealthReport
from web.answers import answer
from web.identity import Access
from web.views.base import ApiView

_DEPENDENCIES = ("database", "kafka", "redis", "stream")


class HealthView(ApiView):
    """The whole state of the service, for a person."""

    view_path = "/healthz"
    access: ClassVar[Access] = Access.ANYBODY

    async def get(self, _request: web.Request) -> web.Response:
        report, config = await self._report(), self.services.config
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

    async def _report(self) -> HealthReport:
        return await self.services.health.full()


class LiveView(HealthView):
    """Whether the process must be restarted."""

    view_path = "/livez"

    async def _report(self) -> HealthReport:
        return await self.services.health.live()


class ReadyView(HealthView):
    """Whether requests may be sent here."""

    view_path = "/readyz"

    async def _report(self) -> HealthReport:
        return await self.services.health.ready()


class MetricsView(ApiView):
    """The metrics, in Prometheus's text format or as OpenMetrics."""

    view_path = "/metrics"
    access: ClassVar[Access] = Access.ANYBODY

    async def get(self, request: web.Request) -> web.Response:
        accept = ",".join(request.headers.getall("Accept", ()))
        body, content_type = self.services.metrics.render(accept)
        return web.Response(body=body, headers={"Content-Type": content_type})

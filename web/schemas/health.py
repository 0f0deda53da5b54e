"""The health of the service."""

from typing import Literal

from web.schemas.base import Output


class Health(Output):
    """The state of a process: each check and dependency is `ok`, or what is wrong with it."""

    service: str
    status: Literal["healthy", "degraded", "unhealthy"]
    version: str
    checks: dict[str, str]
    dependencies: dict[str, str]
    environment: str

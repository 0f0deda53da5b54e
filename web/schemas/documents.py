"""The documents that describe the service; each follows a specification of its own."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class OpenApi(BaseModel):
    """An OpenAPI document (https://spec.openapis.org/oas/v3.1.0)."""

    model_config = ConfigDict(extra="allow")

    openapi: str
    info: dict[str, Any]
    paths: dict[str, Any]
    components: dict[str, Any]


class AsyncApi(BaseModel):
    """An AsyncAPI document (https://www.asyncapi.com)."""

    model_config = ConfigDict(extra="allow")

    asyncapi: str
    info: dict[str, Any]
    channels: dict[str, Any]
    operations: dict[str, Any]
    components: dict[str, Any]

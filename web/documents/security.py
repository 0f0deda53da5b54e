"""The security schemes of the OpenAPI document, and which of them an operation asks for."""

from collections.abc import Mapping
from typing import Any, Final

from web import signatures
from web.identity import Access

_USER: Final = "userId"
_TOKEN: Final = "gatewayToken"  # noqa: S105  # a name
_KEY: Final = "internalKey"
_SERVICE: Final = "serviceId"
_SIGNATURE: Final = "workerSignature"

SCHEMES: Final[Mapping[str, Any]] = {
    _USER: {
        "type": "apiKey",
        "in": "header",
        "name": "X-User-ID",
        "description": "Who acts: at most 255 characters, percent-encoded (UTF-8) where they are "
        "not ASCII. `SYSTEM_TIMEOUT` and `SYSTEM_AUTO` are no users.",
    },
    _TOKEN: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "Asked for where the service is set up with a gateway's key; its `sub` is "
        "the user of `X-User-ID`.",
    },
    _KEY: {
        "type": "apiKey",
        "in": "header",
        "name": "X-Internal-API-Key",
        "description": "What other services of the house have. It acts for nobody.",
    },
    _SERVICE: {
        "type": "apiKey",
        "in": "header",
        "name": "X-Service-ID",
        "description": "The name of the service that asks: 1 to 255 characters.",
    },
    _SIGNATURE: {
        "type": "apiKey",
        "in": "header",
        "name": signatures.HEADER,
        "description": "How a worker asks another: the time and an HMAC with an internal key.",
    },
}

Requirement = Mapping[str, list[str]]

_AS_USER: Final[tuple[Requirement, ...]] = ({_USER: []}, {_USER: [], _TOKEN: []})
_AS_SERVICE: Final[tuple[Requirement, ...]] = ({_KEY: [], _SERVICE: []},)

REQUIREMENTS: Final[Mapping[Access, tuple[Requirement, ...]]] = {
    Access.ANYBODY: (),
    Access.USER: _AS_USER,
    Access.SERVICE: _AS_SERVICE,
    Access.USER_OR_SERVICE: (*_AS_USER, *_AS_SERVICE),
    Access.WORKER: ({_SIGNATURE: []}, *_AS_SERVICE),
}

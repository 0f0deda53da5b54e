"""The formats of metrics, and which one a scraper asks for.

prometheus_client's own choice fails on a version that is no number, promises whatever version it is
asked for, and does not look at weights.
"""

from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

OPENMETRICS: Final = "application/openmetrics-text"
_VERSIONS: Final = ("", "1.0.0")
_PLAIN: Final = ("text/plain", "text/*", "*/*")


def rendered(registry: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """Return all metrics and their content type: OpenMetrics where it is preferred."""
    encode, content_type = choose_encoder(OPENMETRICS if prefers_openmetrics(accept) else "")
    return encode(registry), content_type


def prefers_openmetrics(accept: str) -> bool:
    """Whether OpenMetrics 1.0 weighs at least as much as plain text in an Accept header."""
    wanted, plain = 0.0, 0.0
    for part in accept.split(","):
        name, version, weight = _read(part)
        if name == OPENMETRICS and version in _VERSIONS:
            wanted = max(wanted, weight)
        elif name in _PLAIN:
            plain = max(plain, weight)
    return 0 < wanted >= plain


def _read(part: str) -> tuple[str, str, float]:
    """Return the media type, version and weight of an element of the header."""
    name, *parameters = (text.strip().lower() for text in part.split(";"))
    given = {key: value.strip('"') for key, _, value in (p.partition("=") for p in parameters)}
    try:
        weight = float(given.get("q", "1"))
    except ValueError:
        weight = 0.0
    return name, given.get("version", ""), weight

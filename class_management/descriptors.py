"""The limit of open files, which is also that of connections."""

import resource
from dataclasses import replace
from typing import Final

from class_management.settings import PREFIX, Settings
from telemetry.logs import get_logger
from web.limits import ConnectionLimits

#: Kafka's and Redis's connections, logs, libraries, and a burst of connections that the system
#: hands over at once.
OTHERS: Final = 320
#: RocksDB keeps up to 64 files of a partition open, and a few beside them.
FILES_PER_PARTITION: Final = 72
#: Never leave less than this share of the limit for HTTP.
SMALLEST_SHARE: Final = 4

_log: Final = get_logger(__name__)


def connection_limits(settings: Settings) -> ConnectionLimits:
    """Return limits that the process can keep to, after raising that of open files where needed.

    Where the system allows too few files, there are fewer connections: a process that cannot open
    another file can neither accept a connection nor say so.
    """
    wanted = ConnectionLimits(
        connections=settings.http_max_connections,
        requests=settings.requests_in_flight,
        user_requests=settings.requests_in_flight_per_user,
    )
    others = _other_files(settings) + wanted.reserve
    allowed = _raised(wanted.connections + others)
    fitting = max(allowed - others, allowed // SMALLEST_SHARE)
    if fitting >= wanted.connections:
        return wanted
    _log.warning(
        "fewer connections than configured: raise the limit of open files (ulimit -n)",
        setting=f"{PREFIX}HTTP_MAX_CONNECTIONS",
        connections=fitting,
        open_files=allowed,
        needed=wanted.connections + others,
    )
    return replace(wanted, connections=fitting)


def _other_files(settings: Settings) -> int:
    partitions = settings.topic_partitions if settings.role.has_streams else 0
    return OTHERS + settings.database_pool_max_size + FILES_PER_PARTITION * partitions


def _raised(wanted: int) -> int:
    """Raise the soft limit to `wanted`, or as far as the hard one lets it; return what it is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    new = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if new <= soft:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (new, hard))
    except (OSError, ValueError):  # the system has a limit of its own below
        return soft
    return new

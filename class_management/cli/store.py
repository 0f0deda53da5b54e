"""The store, as commands use it: with one connection, and one line for each trouble."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from dishka.container import Container

from class_management.cli.runner import TroubleError
from class_management.container import build_container
from class_management.settings import Settings
from rules.errors import DataRefusedError, StoreUnavailableError, reason
from store.protocols.pool import PoolProtocol

#: A person waits longer for a connection than a request does.
ACQUIRE_SECONDS: Final = 5.0


@asynccontextmanager
async def open_store(
    settings: Settings, in_memory: str, command_seconds: float = 0.0
) -> AsyncIterator[Container]:
    """Yield the store's protocols. Raises TroubleError, also for errors in the block.

    `in_memory` says why it is not to be had with USE_MOCK_REPOSITORY; `command_seconds` is how
    long a statement may take, if that is longer than the setting.
    """
    if settings.use_mock_repository:
        raise TroubleError(f"with USE_MOCK_REPOSITORY {in_memory}")
    acquire = max(settings.database_acquire_timeout_seconds, ACQUIRE_SECONDS)
    command = max(settings.database_command_timeout_seconds, command_seconds)
    own = {
        "database_pool_min_size": 1,
        "database_pool_max_size": 1,
        "database_acquire_timeout_seconds": acquire,
        "database_command_timeout_seconds": command,
    }
    container = build_container(settings.model_copy(update=own))
    try:
        yield container
    except (StoreUnavailableError, DataRefusedError) as error:
        raise TroubleError(f"PostgreSQL: {_reason(error)}") from error
    finally:
        await container.get(PoolProtocol).close()


def _reason(error: BaseException) -> str:
    """Return the error of PostgreSQL, or why it cannot be reached."""
    cause: Any = error.__cause__ or error
    if getattr(cause, "sqlstate", None) == "42P01":
        return f"{cause}: class-management migrate"
    return reason(cause)

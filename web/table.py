"""The table of operations: all of the HTTP API, in the order of its routes."""

from typing import Final

from web.operations import Operation
from web.views import (
    associations,
    batches,
    changes,
    classes,
    courses,
    documents,
    exports,
    health,
    imports,
    internal,
    notifications,
    students,
    tables,
    worker,
)

#: A process with streams answers only these: it takes no requests from teachers and services.
STREAM_OPERATIONS: Final[tuple[Operation, ...]] = (
    *tables.OPERATIONS,
    *worker.OPERATIONS,
    *health.OPERATIONS,
)

OPERATIONS: Final[tuple[Operation, ...]] = (
    *students.OPERATIONS,
    *classes.OPERATIONS,
    *imports.OPERATIONS,
    *exports.OPERATIONS,
    *courses.OPERATIONS,
    *batches.OPERATIONS,
    *associations.OPERATIONS,
    *changes.OPERATIONS,
    *notifications.OPERATIONS,
    *internal.OPERATIONS,
    *STREAM_OPERATIONS,
    *documents.OPERATIONS,
)

#: All that is routed: the API, and the files that its pages load, which are no part of it.
ROUTED: Final[tuple[Operation, ...]] = (*OPERATIONS, *documents.PARTS)

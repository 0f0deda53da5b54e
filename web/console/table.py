"""The console's operations: pages, forms on them, and the files that they load."""

from typing import Final

from web.console.files import FILES
from web.console.views import (
    acting,
    batches,
    classes,
    dead_letters,
    exports,
    histories,
    home,
    imports,
    language,
    members,
    outbox,
    overview,
    pasting,
    sign_in,
    stories,
    stream,
    students,
    timers,
)
from web.operations import Operation
from web.table import ROUTED
from web.views.files import file_operation

CONSOLE_OPERATIONS: Final[tuple[Operation, ...]] = (
    *acting.OPERATIONS,
    *batches.OPERATIONS,
    *classes.OPERATIONS,
    *dead_letters.OPERATIONS,
    *exports.OPERATIONS,
    *histories.OPERATIONS,
    *home.OPERATIONS,
    *imports.OPERATIONS,
    *language.OPERATIONS,
    *members.OPERATIONS,
    *outbox.OPERATIONS,
    *overview.OPERATIONS,
    *pasting.OPERATIONS,
    *sign_in.OPERATIONS,
    *stories.OPERATIONS,
    *stream.OPERATIONS,
    *students.OPERATIONS,
    *timers.OPERATIONS,
    *map(file_operation, FILES.values()),
)

#: All that a process with a console answers.
WITH_CONSOLE: Final[tuple[Operation, ...]] = (*ROUTED, *CONSOLE_OPERATIONS)

"""The console's operations: pages, forms on them, and the files that they load."""

from typing import Final

from web.console.files import FILES
from web.console.views import (
    batches,
    classes,
    home,
    language,
    members,
    pasting,
    sign_in,
    stream,
    students,
)
from web.operations import Operation
from web.table import ROUTED
from web.views.files import file_operation

CONSOLE_OPERATIONS: Final[tuple[Operation, ...]] = (
    *batches.OPERATIONS,
    *classes.OPERATIONS,
    *home.OPERATIONS,
    *language.OPERATIONS,
    *members.OPERATIONS,
    *pasting.OPERATIONS,
    *sign_in.OPERATIONS,
    *stream.OPERATIONS,
    *students.OPERATIONS,
    *map(file_operation, FILES.values()),
)

#: All that a process with a console answers.
WITH_CONSOLE: Final[tuple[Operation, ...]] = (*ROUTED, *CONSOLE_OPERATIONS)

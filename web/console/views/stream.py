"""What pages hear of, while they are open."""

from http import HTTPStatus
from typing import Final

from web.identity import Access
from web.operations import Answer, Operation, Tag
from web.views.notifications import stream_notifications

#: No page: a script reads what is answered, also when it is an error.
OPERATIONS: Final = (
    Operation(
        "GET",
        "/console/stream",
        "followOnPage",
        "Follow what happens",
        Tag.CONSOLE,
        stream_notifications,
        {HTTPStatus.OK: Answer("The events, without end.", media_types=("text/event-stream",))},
        access=Access.TEACHER,
        is_part_of_page=True,
    ),
)

"""The stream of a user's real-time messages."""

from http import HTTPStatus
from typing import Final

from web.calls import Call
from web.identity import Access
from web.notifications.responses import EventStream
from web.operations import Answer, Operation, Tag
from web.services import WebServices

_DESCRIPTION: Final = """\
Server-sent events: `event` is the `notification_type`, `id` the `event_id`, `data` the `data` of
what `/asyncapi.json` describes as real-time messages; a comment each 15 seconds. Best effort: what
was missed does not come again. `event: resync` says that something may have been missed, first on a
reconnect (`Last-Event-ID`), and when Redis is back: read again what you show."""


async def stream_notifications(services: WebServices, call: Call) -> EventStream:
    """Answer what happens from now on."""
    return EventStream(services.streams, call.user)


OPERATIONS: Final = (
    Operation(
        "GET",
        "/v1/notifications/stream",
        "streamNotifications",
        "Follow your real-time messages",
        Tag.NOTIFICATIONS,
        stream_notifications,
        {HTTPStatus.OK: Answer("The events, without end.", media_types=("text/event-stream",))},
        description=_DESCRIPTION,
        access=Access.USER,
    ),
)

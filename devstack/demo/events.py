"""Events as other services read them from Kafka."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from devstack.demo.errors import DemoError
from devstack.demo.text import listed
from devstack.rig.envelopes import Json
from devstack.rig.kafka import (
    ASSOCIATION_UPDATED,
    CLASS_CREATED,
    CONFIRMED,
    DEAD_SUGGESTIONS,
    NOTIFICATIONS,
    STUDENT_CREATED,
    STUDENT_DELETED,
    STUDENT_UPDATED,
    TIMED_OUT,
)

READ: Final = (
    CLASS_CREATED,
    STUDENT_CREATED,
    STUDENT_UPDATED,
    STUDENT_DELETED,
    ASSOCIATION_UPDATED,
    CONFIRMED,
    TIMED_OUT,
    NOTIFICATIONS,
    DEAD_SUGGESTIONS,
)
HEADERS: Final = frozenset({"event_id", "event_type", "correlation_id", "content-type"})


@dataclass(frozen=True)
class Event:
    """A message read from Kafka."""

    topic: str
    key: str
    headers: Mapping[str, str]
    value: Json

    @property
    def data(self) -> Json:
        """The data in the envelope."""
        data: Json = self.value["data"]
        return data


def check(event: Event) -> None:
    """Raise `DemoError` unless an event's headers are those of docs/contract.md."""
    if event.topic == DEAD_SUGGESTIONS:
        raise DemoError(f"the batch was dead-lettered: {event.headers.get('dlt-reason')}")
    if missing := HEADERS - event.headers.keys():
        raise DemoError(f"{event.topic}: no header {', '.join(sorted(missing))}")
    if event.headers["event_id"] != event.value["event_id"]:
        raise DemoError(f"{event.topic}: the header event_id is not the envelope's")


def short(event: Event) -> str:
    """Return an event in a few words."""
    data = event.data
    match event.topic:
        case t if t == CLASS_CREATED:
            return f"{data['class_designation']} {data['course_codes']}"
        case t if t == STUDENT_CREATED:
            return f"{data['first_name']} {data['last_name']}".strip()
        case t if t == CONFIRMED:
            clock = "with" if data["timeout_triggered"] else "without"
            return f"{listed(data['validation_summary'])}; {clock} the clock"
        case t if t == TIMED_OUT:
            kept, guests = data["auto_confirmed_associations"], data["guest_essays"]
            return f"{len(kept)} kept, {len(guests)} given to the UNKNOWN student"
        case _:
            return str(data.get("notification_type", ""))


def grouped(events: Sequence[Event]) -> list[tuple[Event, int]]:
    """Return the first event of each kind in order, with the number of further ones."""
    kinds: dict[tuple[str, str], list[Event]] = {}
    for event in events:
        kinds.setdefault((event.topic, event.data.get("notification_type", "")), []).append(event)
    return [(of_kind[0], len(of_kind) - 1) for of_kind in kinds.values()]

"""How the inspection's queries are written to requests and read from them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, Literal, TypeVar
from uuid import UUID

from multidict import MultiMapping
from pydantic import TypeAdapter

from rules.events.envelopes import to_json
from rules.inputs import Input
from tables.entries import EntryQuery
from web.calls import Call
from web.cursors import Instant, decode, encode
from web.inspection.answers import Position
from web.parameters import optional_identifier, optional_instant, page_size

DEFAULT_PAGE: Final = 100

#: With the list's name: a place in another list is none in this one.
_LIST: Final = "pending"
_PLACE: Final = TypeAdapter(tuple[Literal["pending"], Instant, UUID])

QueryT = TypeVar("QueryT")


@dataclass(frozen=True, slots=True)
class WrittenQuery:
    """A query in a request: ids in the path, parameters, a body."""

    ids: Mapping[str, UUID] = field(default_factory=dict)
    parameters: Mapping[str, str] | None = None
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class QueryForm(Generic[QueryT]):
    """Writes a query to a request, and reads one from a call and the ids in its path.

    `read` raises ValidationFailedError.
    """

    write: Callable[[QueryT], WrittenQuery]
    read: Callable[..., QueryT]


class ComparisonInput(Input):
    """Body of a request to compare; `repair` also repairs what differs."""

    repair: bool


def write_place(place: Position) -> str:
    """Return the cursor of a place in the list."""
    return encode((_LIST, *place))


def _read_place(query: MultiMapping[str]) -> Position | None:
    place = decode(query, _PLACE)
    return place and place[1:]


def _written_page(query: EntryQuery) -> WrittenQuery:
    parameters = {
        "limit": str(query.limit),
        "cursor": write_place(query.after) if query.after else "",
        "class_id": str(query.class_id or ""),
        "due_before": query.due_before.isoformat() if query.due_before else "",
    }
    return WrittenQuery(parameters=parameters)


def _read_page(call: Call) -> EntryQuery:
    return EntryQuery(
        limit=page_size(call.query, DEFAULT_PAGE),
        after=_read_place(call.query),
        class_id=optional_identifier(call.query, "class_id"),
        due_before=optional_instant(call.query, "due_before"),
    )


NOTHING: Final[QueryForm[None]] = QueryForm(
    write=lambda _query: WrittenQuery(), read=lambda _call: None
)
PAGE: Final = QueryForm(_written_page, _read_page)
BATCH_ID: Final[QueryForm[UUID]] = QueryForm(
    write=lambda batch_id: WrittenQuery({"batch_id": batch_id}),
    read=lambda _call, batch_id: batch_id,
)
COMPARISON: Final[QueryForm[ComparisonInput]] = QueryForm(
    write=lambda query: WrittenQuery(body=to_json({"repair": query.repair})),
    read=lambda call: call.read(ComparisonInput),
)

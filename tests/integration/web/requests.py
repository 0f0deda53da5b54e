"""A request of each operation that acts for a user, as its owner would make it.

`{class_id}` and so on stand for ids of a World (tests/integration/web/worlds.py), as in paths.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType, NoneType
from typing import Any, Final, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel

from web.operations import Operation

#: A place in a body: names of members, and 0 for the first item of a list.
Place = tuple[str | int, ...]

_NAME: Final = {"first_name": "Eva", "last_name": "Ek"}

#: Bodies by the operation's name. Every id that the model takes has to be there.
BODIES: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "createClass": {"name": "9C", "course_codes": ["SV1"]},
        "updateClass": {"name": "mine", "course_codes": ["ENG5"]},
        "createStudent": {"person_name": _NAME, "class_ids": ["{class_id}"]},
        "updateStudent": {
            "person_name": _NAME,
            "email": None,
            "add_class_ids": ["{other_class_id}"],
            "remove_class_ids": ["{class_id}"],
        },
        "mergeStudents": {"into": "{other_student_id}"},
        "confirmAssociations": {
            "associations": [
                {"essay_id": "{pending_id}", "student_id": "{student_id}", "confirmed": True}
            ]
        },
        "correctAssociation": {"student_id": "{student_id}"},
        "compareTables": {"repair": False},
        "compareOwn": {"repair": False},
    }
)


#: Files of those that take one.
FILES: Final[Mapping[str, bytes]] = MappingProxyType(
    {
        "importRoster": b"First name,Last name\r\nEva,Ek\r\n",
        "importClasses": b"Class,Course,First name,Last name\r\n9C,SV1,Eva,Ek\r\n",
    }
)


def file_of(operation: Operation) -> bytes | None:
    """Return the file of an operation, None if it takes none. A new one has to be added."""
    return FILES[operation.name] if operation.uploads else None


def headers_of(operation: Operation) -> dict[str, str]:
    """Return the headers without which an operation takes no request."""
    file = {"Content-Type": operation.uploads[0]} if operation.uploads else {}
    return {**file, **({"If-Match": '"another"'} if operation.needs_match else {})}


def body_of(operation: Operation) -> Any:  # noqa: ANN401  # JSON
    """Return the body of an operation, None if it takes none. A new one has to be added."""
    return BODIES[operation.name] if operation.body else None


def id_places(model: type[BaseModel]) -> list[Place]:
    """Return every place of a body where an id may stand, whatever it is called."""
    return [place for place, kind in _places(model) if kind is UUID]


def other_places(model: type[BaseModel]) -> list[Place]:
    """Return every other place of a body."""
    return [place for place, kind in _places(model) if kind is not UUID]


def _places(annotation: Any) -> Iterator[tuple[Place, Any]]:  # noqa: ANN401  # a type, as written
    """Yield the places of what has this type where there is nothing within, and their types."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            yield from (((name, *place), kind) for place, kind in _places(field.annotation))
    elif members := get_args(annotation):
        first = (0,) if get_origin(annotation) in {list, tuple} else ()
        yield from (((*first, *place), kind) for one in members for place, kind in _places(one))
    elif annotation not in {Ellipsis, NoneType}:
        yield (), annotation


def replaced(body: Any, place: Place, value: object) -> Any:  # noqa: ANN401  # JSON
    """Return a body with another value at a place. Raises KeyError where it has none."""
    if not place:
        return value
    first, rest = place[0], place[1:]
    copy: Any = dict(body) if isinstance(body, dict) else list(body)
    copy[first] = replaced(copy[first], rest, value)
    return copy


def at(body: Any, place: Place) -> Any:  # noqa: ANN401  # JSON
    """Return what is at a place of a body. Raises KeyError where nothing is."""
    return at(body[place[0]], place[1:]) if place else body

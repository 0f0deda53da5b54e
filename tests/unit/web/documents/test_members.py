"""No member of a message that is listed goes missing, or becomes something else.

members.json has what readers and senders of messages rely on: each member of every message, the
types that it can have, and whether it may be absent. docs/kafka.md has the rules.
"""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Final

import pytest

from tests.support.documents import Json
from web.documents.asyncapi import document

PLACE: Final = Path(__file__).with_name("members.json")
LISTED: Final[Mapping[str, Mapping[str, str]]] = json.loads(PLACE.read_text(encoding="utf-8"))
DOCUMENT: Final = document()
#: What the service reads; all other messages it writes.
CONSUMED: Final = frozenset(
    ref["$ref"].rpartition("/")[2]
    for operation in DOCUMENT["operations"].values()
    if operation["action"] == "receive"
    for ref in DOCUMENT["channels"][operation["channel"]["$ref"].rpartition("/")[2]][
        "messages"
    ].values()
)

OPTIONAL: Final = "optional "


def members_of(name: str, whole: Json = DOCUMENT) -> dict[str, str]:
    """Return what a message of the document has, by the paths of its members."""
    message = whole["components"]["messages"][name]
    payload = dict(_members(message["payload"], "", whole))
    headers = message.get("headers", {})
    return payload | dict(_members(headers, "headers:", whole))


def _members(schema: Json, path: str, whole: Json) -> Iterator[tuple[str, str]]:
    for form in _forms(schema, whole):
        required = form.get("required", [])
        for name, member in form.get("properties", {}).items():
            place = f"{path}{name}"
            kinds = sorted({_kind(one) for one in _forms(member, whole)})
            yield place, ("" if name in required else OPTIONAL) + " or ".join(kinds)
            yield from _members(member, f"{place}.", whole)
        if "items" in form:
            yield from _members(form["items"], f"{path.removesuffix('.')}[].", whole)


def _forms(schema: Json, whole: Json) -> Iterator[Json]:
    """Yield the forms that a value can have; `anyOf` beside a type only narrows it."""
    if "$ref" in schema:
        yield from _forms(whole["components"]["schemas"][schema["$ref"].rpartition("/")[2]], whole)
    elif "anyOf" in schema and "type" not in schema:
        for one in schema["anyOf"]:
            yield from _forms(one, whole)
    else:
        yield schema


def _kind(schema: Json) -> str:
    if "const" in schema:
        return f"= {json.dumps(schema['const'])}"
    form = schema.get("format")
    kind: str = schema.get("type", "anything")
    return f"{kind} ({form})" if form else kind


def breaks(name: str, now: Mapping[str, str]) -> list[str]:
    """Say what of a message those who use it rely on, and would no longer find."""
    listed = LISTED[name]
    gone = [f"{name}: {place} is gone (it was {what})" for place, what in listed.items()]
    gone = [line for line, place in zip(gone, listed, strict=True) if place not in now]
    changed = [
        f"{name}: {place} is now {now[place]}, it was {what}"
        for place, what in listed.items()
        if place in now and not _serves(what, now[place], is_read=name in CONSUMED)
    ]
    wanted = [
        f"{name}: {place} is new and must be sent, which no sender does"
        for place in now.keys() - listed.keys()
        if name in CONSUMED and not now[place].startswith(OPTIONAL)
    ]
    return [*gone, *changed, *wanted]


def _serves(before: str, now: str, *, is_read: bool) -> bool:
    """Whether who relies on a member as it was can go on: a reader of it, or else a sender."""
    old, new = (set(what.removeprefix(OPTIONAL).split(" or ")) for what in (before, now))
    was_optional, is_optional = (what.startswith(OPTIONAL) for what in (before, now))
    if is_read:
        return old <= new and is_optional >= was_optional
    return new <= old and is_optional <= was_optional


@pytest.mark.parametrize("name", sorted(LISTED))
def test_what_is_listed_stays(name: str) -> None:
    """If this fails: readers or senders break. Make a new topic, as docs/kafka.md says."""
    assert name in DOCUMENT["components"]["messages"], f"the message {name} is gone"
    assert breaks(name, members_of(name)) == []


def test_what_is_new_is_listed() -> None:
    """If this fails: add what it names to members.json, so that it is kept from now on."""
    unlisted = {
        name: new
        for name in DOCUMENT["components"]["messages"]
        if (new := members_of(name).items() - LISTED.get(name, {}).items())
    }
    assert unlisted == {}, f"to be listed in {PLACE.name}"


# --- the check itself --------------------------------------------------------------------------


def changed(name: str, member: str, **schema: object) -> dict[str, str]:
    """Return a message's members after a change of one in the schema of its data."""
    whole = deepcopy(DOCUMENT)
    data = _data_of(whole, name)
    if schema:
        data["properties"][member] = schema
    else:
        del data["properties"][member]
    return members_of(name, whole)


def _data_of(whole: Json, name: str) -> Json:
    payload = whole["components"]["messages"][name]["payload"]
    [data] = _forms(payload["properties"]["data"], whole)
    return data


EVENT: Final = "StudentCreatedV1"
COMMAND: Final = "student.update"
UUID: Final = {"type": "string", "format": "uuid"}


def test_a_removed_member_is_found() -> None:
    found = breaks(EVENT, changed(EVENT, "first_name"))
    assert found == ["StudentCreatedV1: data.first_name is gone (it was string)"]
    assert breaks(COMMAND, changed(COMMAND, "email")) != []


@pytest.mark.parametrize(
    ("schema", "is_break"),
    [
        ({"type": "integer"}, True),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, True),
        (UUID, True),
        ({"type": "string", "description": "other words"}, False),
    ],
)
def test_another_type_of_an_event_is_found(schema: Json, is_break: bool) -> None:  # noqa: FBT001
    assert bool(breaks(EVENT, changed(EVENT, "first_name", **schema))) == is_break


@pytest.mark.parametrize(
    ("schema", "is_break"),
    [({**UUID}, False), ({"type": "string"}, True), ({"anyOf": [UUID, {"type": "null"}]}, False)],
)
def test_a_command_may_take_more_and_not_less(schema: Json, is_break: bool) -> None:  # noqa: FBT001
    assert bool(breaks(COMMAND, changed(COMMAND, "student_id", **schema))) == is_break


def test_a_member_that_may_be_absent_now_is_found() -> None:
    whole = deepcopy(DOCUMENT)
    _data_of(whole, EVENT)["required"].remove("first_name")
    assert breaks(EVENT, members_of(EVENT, whole)) != []
    _data_of(whole, COMMAND)["required"].append("email")
    assert breaks(COMMAND, members_of(COMMAND, whole)) != []


def test_what_is_added_breaks_nobody() -> None:
    assert breaks(EVENT, changed(EVENT, "more", type="string")) == []
    assert breaks(COMMAND, changed(COMMAND, "more", type="string")) == []


def test_what_must_be_sent_from_now_on_is_found() -> None:
    whole = deepcopy(DOCUMENT)
    data = _data_of(whole, COMMAND)
    data["properties"]["more"] = {"type": "string"}
    data["required"].append("more")
    [line] = breaks(COMMAND, members_of(COMMAND, whole))
    assert "data.more is new and must be sent" in line

"""The pictures: they are Mermaid that can be drawn, and say what the code says."""

import re
from collections.abc import Iterable
from typing import Final

import pytest

from devstack.stack import REPOSITORY
from rules.dead_letters.replays import State
from rules.models import Status
from tests.unit.docs.documents import documents, fences, lines_of, named

ARCHITECTURE: Final = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
KNOWN: Final = ("flowchart", "stateDiagram-v2", "erDiagram", "sequenceDiagram")
DIAGRAMS: Final = [
    pytest.param(block, id=f"{named(path)}-{number}")
    for path in documents()
    for number, block in enumerate(fences(path.read_text(encoding="utf-8"), "mermaid"), 1)
]
#: A batch has no status column: what it is follows from `closed_at`.
BATCH: Final = {"open", "closed"}

_TRANSITION: Final = re.compile(r"(\S+) --> ([^\s:]+)(?:: .+)?")
_DIRECTION: Final = re.compile(r"direction (?:LR|TB)")
_BRACE: Final = re.compile(r"\w+ \{|\}")
_ALIAS: Final = re.compile(r'state "(.+)" as (\w+)')
_ATTRIBUTE: Final = re.compile(r'(\S+) (\w+)(?: (?:PK|FK|UK)(?:, (?:PK|FK|UK))*)?(?: "[^"]*")?')
_RELATION: Final = re.compile(r'(\w+) [|}][|o](?:--|\.\.)[|o][|{] (\w+) : "([^"]+)"')
_CREATED: Final = re.compile(r"create table (\w+) \((.*?)\n {4,8}\)", re.DOTALL)
_ADDED: Final = re.compile(r"alter table (\w+) add column (\w+) ([\w\[\]]+)")
_RENAMED: Final = re.compile(r"alter table (\w+) rename to (\w+)")
_RENAMED_COLUMN: Final = re.compile(r"alter table (\w+) rename column (\w+) to (\w+)")
_DROPPED: Final = re.compile(r"alter table (\w+)\s+((?:drop column \w+,?\s+)+)")
_COLUMN: Final = re.compile(r'"?(\w+)"? (double precision|[a-z_]+8?(?:\[\])?)')
_NO_COLUMN: Final = {"check", "constraint", "foreign", "primary", "unique"}
_ALIASES: Final = {"double precision": "float8"}


@pytest.mark.parametrize("block", DIAGRAMS)
def test_a_diagram_has_a_known_kind_and_is_balanced(block: str) -> None:
    first, *rest = lines_of(block)
    assert first.split()[0] in KNOWN
    assert rest
    text = re.sub(r'"[^"]*"', '""', block)
    for opening, closing in ("()", "{}", "[]") if first != "erDiagram" else ("()", "[]"):
        assert text.count(opening) == text.count(closing), (opening, closing)
    assert block.count('"') % 2 == 0
    if first.startswith("flowchart"):
        opened = [line for line in rest if line.startswith("subgraph ")]
        assert len(opened) == rest.count("end")


@pytest.mark.parametrize("block", fences(ARCHITECTURE, "mermaid"))
def test_every_line_of_a_diagram_of_states_or_tables_is_understood(block: str) -> None:
    first, *rest = lines_of(block)
    if first == "stateDiagram-v2":
        forms = (_TRANSITION, _ALIAS, _DIRECTION)
        odd = [line for line in rest if not any(form.fullmatch(line) for form in forms)]
    elif first == "erDiagram":
        forms = (_BRACE, _ATTRIBUTE, _RELATION)
        odd = [line for line in rest if not any(form.fullmatch(line) for form in forms)]
    else:
        return
    assert odd == []


def test_the_states_are_those_of_the_code() -> None:
    drawn = [_states(b) for b in fences(ARCHITECTURE, "mermaid") if b.startswith("stateDiagram")]
    assert drawn == [BATCH, {status.value for status in Status}, {state.value for state in State}]


def test_the_schema_is_that_of_the_migrations() -> None:
    blocks = [b for b in fences(ARCHITECTURE, "mermaid") if b.startswith("erDiagram")]
    drawn = {table: columns for block in blocks for table, columns in _tables(block).items()}
    assert drawn == _migrated()


def test_relations_are_between_tables_that_are_drawn_and_name_their_columns() -> None:
    schema = _migrated()
    found = _RELATION.findall(ARCHITECTURE)
    assert found
    for parent, child, columns in found:
        assert parent in schema
        assert set(columns.split(", ")) <= schema[child].keys()


def _states(block: str) -> set[str]:
    aliases = {short: long for long, short in _ALIAS.findall(block)}
    ends = (end for pair in _TRANSITION.findall(block) for end in pair)
    return {aliases.get(end, end) for end in ends if end != "[*]"}


def _tables(block: str) -> dict[str, dict[str, str]]:
    return {
        table: {name: kind for kind, name in _ATTRIBUTE.findall(body)}
        for table, body in re.findall(r"^ +(\w+) \{\n(.*?)^ +\}", block, re.MULTILINE | re.DOTALL)
    }


def _migrated() -> dict[str, dict[str, str]]:
    """Return the tables with the types of their columns, as all migrations leave them."""
    schema: dict[str, dict[str, str]] = {}
    for path in sorted((REPOSITORY / "migrations" / "versions").glob("[0-9]*.py")):
        text = path.read_text(encoding="utf-8").partition("\n_DOWN = ")[0]
        for table, body in _CREATED.findall(text):
            schema[table] = dict(_columns(body.splitlines()))
        for table, name in _RENAMED.findall(text):
            schema[name] = schema.pop(table)
        for table, column, kind in _ADDED.findall(text):
            schema[table][column] = kind
        for table, columns in _DROPPED.findall(text):
            for column in re.findall(r"drop column (\w+)", columns):
                del schema[table][column]
        for table, column, name in _RENAMED_COLUMN.findall(text):
            schema[table][name] = schema[table].pop(column)
    return schema


def _columns(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        found = _COLUMN.match(line.strip())
        if found and _indent(line) in {8, 12} and found[1] not in _NO_COLUMN:
            yield found[1], _ALIASES.get(found[2], found[2])


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())

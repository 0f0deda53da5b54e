"""Parameters of queries that several operations take, as the document describes them."""

from typing import Final

from rules.external_ids import MAX_EXTERNAL_ID
from web.cursors import MAX_CURSOR
from web.operations import Parameter, Schema
from web.parameters import MAX_BATCH_IDS, MAX_OFFSET, MAX_PAGE

UUID_SCHEMA: Final[Schema] = {"type": "string", "format": "uuid"}

#: Of a parameter that is looked for: without control characters.
TEXT_PATTERN: Final = r"^[^\u0000-\u001f\u007f-\u009f]*$"

CURSOR: Final = Parameter(
    "cursor",
    {"type": "string", "maxLength": MAX_CURSOR, "pattern": "^[-_A-Za-z0-9]*$"},
    "The `next_cursor` of the page before; absent: the first page.",
)
OFFSET: Final = Parameter(
    "offset",
    {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "default": 0},
    "How many to leave out. A `cursor` skips and repeats nothing; this may.",
)
CLASS_ID: Final = Parameter("class_id", UUID_SCHEMA, "Only those of this class.")
EXTERNAL_ID: Final = Parameter(
    "external_id",
    {"type": "string", "maxLength": MAX_EXTERNAL_ID, "pattern": TEXT_PATTERN},
    "What another system calls it, as it was given.",
)
BATCH_IDS: Final = Parameter(
    "batch_ids",
    {"type": "array", "items": UUID_SCHEMA, "maxItems": MAX_BATCH_IDS},
    "Ids, comma separated.",
)


def limit(default: int | None, most: int = MAX_PAGE) -> Parameter:
    """Return the size of a page; no default: all in one page."""
    schema = {"type": "integer", "minimum": 1, "maximum": most}
    if default is None:
        return Parameter("limit", schema, "The most that a page has; absent: all.")
    return Parameter("limit", {**schema, "default": default}, "The most that a page has.")

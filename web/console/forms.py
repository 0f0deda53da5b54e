"""The fields of forms."""

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import parse_qs

from rules.errors import ValidationFailedError
from web.calls import Call
from web.errors import BadRequestError

#: The field that shows that a form came from a page of this service.
TOKEN: Final = "form_token"  # noqa: S105  # a name

#: A list of pupils that is pasted is one field; a form has a few for each row of a preview.
_MOST_FIELDS: Final = 12_000

Fields = Mapping[str, Sequence[str]]


class Form:
    """The fields of a form as people filled them in."""

    def __init__(self, fields: Fields) -> None:
        self._fields = fields

    def text(self, name: str) -> str:
        """Return a field, "" where it is absent. Raises ValidationFailedError if it came twice."""
        values = self._fields.get(name, ())
        if len(values) > 1:
            raise ValidationFailedError(f"{name} came more than once.")
        return values[0] if values else ""

    def texts(self, name: str) -> Sequence[str]:
        """Return every value of a field that may come several times."""
        return self._fields.get(name, ())

    def has(self, name: str) -> bool:
        """Whether the form has a field: a box that is ticked, a button that was pressed."""
        return name in self._fields


def read_form(body: bytes) -> Form:
    """Read the body of a form. Raises BadRequestError."""
    try:
        text = body.decode("ascii")
        fields = parse_qs(
            text, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"
        )
    except ValueError:
        raise BadRequestError(detail="The form cannot be read.") from None
    return Form(fields)


def form_of(call: Call) -> Form:
    """Return the form of a call. Raises BadRequestError."""
    return read_form(call.body)

"""What the forms of teachers' pages send, as the owner would fill them in.

`{class_id}` and so on stand for ids of a World (tests/integration/web/worlds.py), as in paths.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

#: By path. A form that is new has to be added, with every field that takes an id.
FIELDS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "/console/batches/{batch_id}": {"from": "100"},
        "/console/batches/{batch_id}/essays/{essay_id}": {"student": "{student_id}"},
        "/console/probe": {},
    }
)

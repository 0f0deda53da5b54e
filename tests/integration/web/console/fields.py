"""What the forms of teachers' pages send, as the owner would fill them in.

`{class_id}` and so on stand for ids of a World (tests/integration/web/worlds.py), as in paths;
`{class_tag}` and so on for the tags of what has them.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

#: What tells a form of a page from the same one of another (web.console.once).
_ONCE: Final = "a" * 24

#: By path. A form that is new has to be added, with every field that takes an id; `file` is the
#: content of the file that it brings.
FIELDS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "/console/batches/{batch_id}": {"from": "100"},
        "/console/batches/{batch_id}/essays/{essay_id}": {"student": "{student_id}"},
        "/console/probe": {},
        "/console/classes": {"name": "9C", "course": "SV1", "once": _ONCE},
        "/console/classes/{class_id}": {"name": "9C", "course": "SV1", "tag": "{class_tag}"},
        "/console/classes/{class_id}/delete": {"tag": "{class_tag}", "expected": "1 1"},
        "/console/classes/{class_id}/import": {"mode": "add", "file": "Förnamn,Efternamn\nCher,\n"},
        "/console/classes/{class_id}/join": {"student_id": "{other_student_id}"},
        "/console/classes/{class_id}/paste": {"list": "Cher", "confirm": "1", "once": _ONCE},
        "/console/classes/{class_id}/students": {"first": "Cher", "once": _ONCE},
        "/console/classes/{class_id}/students/{student_id}/leave": {},
        "/console/imports": {"course": "SV1", "file": "Förnamn,Efternamn,Klass\nCher,,9C\n"},
        "/console/imports/{import_id}/apply": {"tag": "{import_tag}"},
        "/console/imports/{import_id}/undo": {},
        "/console/students/{student_id}": {"first": "Cher", "tag": "{student_tag}"},
        "/console/students/{student_id}/classes": {"to": "{other_class_id}", "from": "{class_id}"},
        "/console/students/{student_id}/delete": {"tag": "{student_tag}"},
        "/console/students/{student_id}/merge": {
            "other": "{other_student_id}",
            "into": "{student_id}",
            "tag": "{student_tag}",
            "other_tag": "{other_student_tag}",
        },
    }
)

"""Which operations take an id from an answer: the `links` of the OpenAPI document."""

from collections.abc import Mapping
from typing import Final

#: The names of a link's parameters, and where their values come from (runtime expressions).
Link = Mapping[str, str]

_BATCH: Final = {"batch_id": "$request.path.batch_id"}
_ESSAY: Final = {**_BATCH, "essay_id": "$response.body#/associations/0/essay_id"}
_SAME_ESSAY: Final = {**_BATCH, "essay_id": "$request.path.essay_id"}


def _class(expression: str) -> dict[str, Link]:
    link = {"class_id": expression}
    return dict.fromkeys(
        ("getClass", "updateClass", "deleteClass", "getRoster", "importRoster"), link
    )


def _student(expression: str) -> dict[str, Link]:
    link = {"student_id": expression}
    return dict.fromkeys(("getStudent", "updateStudent", "deleteStudent", "mergeStudents"), link)


def _import(expression: str) -> dict[str, Link]:
    link = {"import_id": expression}
    return dict.fromkeys(("getImport", "listImportRows", "applyImport", "undoImport"), link)


#: By the operation that answers, then by the one that can follow.
LINKS: Final[Mapping[str, Mapping[str, Link]]] = {
    "createClass": _class("$response.body#/id"),
    "listClasses": _class("$response.body#/classes/0/id"),
    "importRoster": _import("$response.body#/id"),
    "importClasses": _import("$response.body#/id"),
    "listImports": _import("$response.body#/imports/0/id"),
    "createStudent": _student("$response.body#/id"),
    "findStudents": _student("$response.body#/students/0/id"),
    "getClass": _student("$response.body#/students/0/id"),
    "getRoster": _student("$response.body#/students/0/student_id"),
    "listBatches": {
        "getBatchAssociations": {"batch_id": "$response.body#/batches/0/batch_id"},
        "getStudentNames": {"batch_id": "$response.body#/batches/0/batch_id"},
    },
    "getBatchAssociations": {
        "confirmAssociations": _BATCH,
        "getAssociation": _ESSAY,
        "correctAssociation": _ESSAY,
        "getAssociationHistory": _ESSAY,
    },
    "getAssociation": dict.fromkeys(("correctAssociation", "getAssociationHistory"), _SAME_ESSAY),
    "correctAssociation": {"getAssociationHistory": _SAME_ESSAY},
    "getStudentNames": {"getEssayStudent": {"essay_id": "$response.body#/0/essay_id"}},
    "listPendingBatches": {
        "getPendingBatch": {"batch_id": "$response.body#/entries/0/batch_id"},
    },
    "listOwnEntries": {"getOwnEntry": {"batch_id": "$response.body#/entries/0/batch_id"}},
}

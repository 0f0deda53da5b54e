"""What other services read."""

from http import HTTPStatus
from typing import Final
from uuid import UUID

from aiohttp import web

from rules.errors import EssayNotFoundError
from web.answers import answer
from web.calls import Call
from web.identity import Access
from web.operations import Answer, Operation, Tag
from web.parameters import identifier_list
from web.queries import BATCH_IDS
from web.representations import class_info_json, essay_student_json, validation_status_json
from web.schemas.internal import ClassInfos, EssayStudent, EssayStudents, ValidationStatuses
from web.services import WebServices


async def get_student_names(services: WebServices, _call: Call, batch_id: UUID) -> web.Response:
    """Answer the names of the decided students of a batch's essays."""
    decided = await services.queries.student_names(batch_id)
    return answer([essay_student_json(student) for student in decided])


async def get_essay_student(services: WebServices, _call: Call, essay_id: UUID) -> web.Response:
    """Answer the student of an essay, once decided."""
    return answer(essay_student_json(await services.queries.essay_student(essay_id)))


async def get_class_info(services: WebServices, call: Call) -> web.Response:
    """Answer the classes of batches."""
    asked = identifier_list(call.query, "batch_ids")
    found = await services.queries.class_info([*asked.values()]) if asked else {}
    return answer({text: class_info_json(found.get(id_)) for text, id_ in asked.items()})


async def get_validation_status(services: WebServices, call: Call) -> web.Response:
    """Answer how far the decisions on batches are."""
    asked = identifier_list(call.query, "batch_ids")
    found = await services.queries.validation_status([*asked.values()]) if asked else {}
    return answer({text: validation_status_json(found.get(id_)) for text, id_ in asked.items()})


OPERATIONS: Final = (
    Operation(
        "GET",
        "/internal/v1/batches/{batch_id}/student-names",
        "getStudentNames",
        "Get the decided students of a batch's essays",
        Tag.INTERNAL,
        get_student_names,
        {HTTPStatus.OK: Answer("Decided essays only.", EssayStudents)},
        access=Access.SERVICE,
        is_large=True,
    ),
    Operation(
        "GET",
        "/internal/v1/associations/essay/{essay_id}",
        "getEssayStudent",
        "Get the student decided for an essay",
        Tag.INTERNAL,
        get_essay_student,
        {HTTPStatus.OK: Answer("The student.", EssayStudent)},
        access=Access.SERVICE,
        errors=(EssayNotFoundError,),
    ),
    Operation(
        "GET",
        "/internal/v1/batches/class-info",
        "getClassInfo",
        "Get the classes of batches",
        Tag.INTERNAL,
        get_class_info,
        {HTTPStatus.OK: Answer("By the ids as the request wrote them.", ClassInfos)},
        access=Access.SERVICE,
        parameters=(BATCH_IDS,),
    ),
    Operation(
        "GET",
        "/internal/v1/batches/validation-status",
        "getValidationStatus",
        "Get how far the decisions on batches are",
        Tag.INTERNAL,
        get_validation_status,
        {HTTPStatus.OK: Answer("By the ids as the request wrote them.", ValidationStatuses)},
        access=Access.SERVICE,
        parameters=(BATCH_IDS,),
    ),
)

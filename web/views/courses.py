"""The courses that a class can belong to."""

from http import HTTPStatus
from typing import Final

from aiohttp import web

from rules.courses import COURSES
from web.answers import answer
from web.calls import Call
from web.identity import Access
from web.operations import Answer, Operation, Tag
from web.representations import course_json
from web.schemas.classes import Courses
from web.services import WebServices


async def list_courses(_services: WebServices, _call: Call) -> web.Response:
    """Answer all courses; the same for everyone."""
    return answer({"courses": [course_json(course) for course in COURSES.values()]})


OPERATIONS: Final = (
    Operation(
        "GET",
        "/v1/courses",
        "listCourses",
        "List the courses that a class can belong to",
        Tag.REFERENCE,
        list_courses,
        {HTTPStatus.OK: Answer("All courses.", Courses)},
        access=Access.USER,
    ),
)

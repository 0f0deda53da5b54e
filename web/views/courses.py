"""The courses that a class can belong to."""

from aiohttp import web

from rules.courses import COURSES
from web.answers import answer
from web.representations import course_json
from web.views.base import ApiView


class CoursesView(ApiView):
    """All courses; the same for everyone."""

    view_path = "/v1/courses"

    async def get(self, _request: web.Request) -> web.Response:
        return answer({"courses": [course_json(course) for course in COURSES.values()]})

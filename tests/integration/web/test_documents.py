"""The documents are served to anybody."""

from typing import Final

from tests.integration.web.api import Api
from tests.support.documents import document

OPENAPI: Final = "/openapi.json"


async def test_the_openapi_document_is_served_to_anybody(api: Api) -> None:
    reply = await api.get(OPENAPI, user=None)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
    assert reply.json == document()
    assert reply.json["paths"][OPENAPI]["get"]["operationId"] == "getOpenApi"


async def test_it_may_be_kept_as_long_as_its_tag_is_the_same(api: Api) -> None:
    first, again = await api.get(OPENAPI, user=None), await api.get(OPENAPI, user=None)
    assert first.headers["Cache-Control"] == "public, max-age=0, must-revalidate"
    assert first.headers["ETag"] == again.headers["ETag"]
    assert (await api.get("/v1/courses")).headers["Cache-Control"] == "no-store"

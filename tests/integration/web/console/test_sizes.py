"""A first page is small: what a browser loads for it, as it is sent, has a bound."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest

from rules.models import Policy
from tests.integration.web.api import TEACHER, Api, Setup, serving
from tests.integration.web.console.people import SERVED
from tests.integration.web.test_docs import raw
from tests.support.stores import memory_stores
from web.console.views.home import HOME

MOST_BYTES: Final = 50_000
GZIP: Final = {"Accept-Encoding": "gzip"}
_LOADED: Final = re.compile(r'<(?:script|link|img)[^>]*? (?:src|href)="(/[^"]*)"')


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with (
        memory_stores(Policy()) as stores,
        serving(Setup(stores), tmp_path, SERVED) as running,
    ):
        yield running


async def test_the_first_page_with_all_that_it_loads(
    api: Api, request: pytest.FixtureRequest
) -> None:
    """With as many batches as the page shows."""
    student_id = await api.new_student()
    for number in range(100):
        class_id = await api.new_class(f"Årskurs {number} Argumenterande text")
        await api.send("PUT", f"/v1/classes/students/{student_id}", {"add_class_ids": [class_id]})
        await api.new_batch(class_id, student_id, None)
    sizes = {}
    page = await raw(api, HOME, **GZIP, **{"X-User-ID": quote(TEACHER)})
    sizes[HOME] = int(page.headers["Content-Length"])
    text = page.body.decode()
    assert page.headers["Content-Encoding"] == "gzip"
    assert text.count("data-until=") == 100
    loaded = _LOADED.findall(text)
    assert loaded
    for address in loaded:
        reply = await raw(api, address, **GZIP)
        assert (reply.status, reply.headers["Content-Encoding"]) == (200, "gzip")
        sizes[address.partition("?")[0]] = int(reply.headers["Content-Length"])
    told = ", ".join(f"{name} {size}" for name, size in sizes.items())
    request.node.add_report_section("call", "first page", f"{sum(sizes.values())} bytes: {told}")
    assert sum(sizes.values()) < MOST_BYTES

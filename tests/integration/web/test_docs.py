"""/docs and what it loads, and /asyncapi.json."""

import gzip
import hashlib
import re
from pathlib import Path
from typing import Final

import pytest

import web
from devstack.stack import REPOSITORY
from tests.integration.web.api import Api, Reply
from web.documents.asyncapi import document
from web.page_files import DOCS
from web.pages import PAGES, Page

FOLDER: Final = Path(str(web.__file__)).with_name("static")
#: Of our own; the others are listed in the NOTICE.
OWN: Final = {"page.css", "try.js"}
GZIP: Final = {"Accept-Encoding": "gzip, br"}

_LISTED: Final = re.compile(r"^(\S+)\n(?: {4}.*\n)*? {4}sha256 +([0-9a-f]{64})$", re.MULTILINE)
_LOADED: Final = re.compile(r'(?:src|href|spec-url)="([^"]+)"')


async def raw(api: Api, path: str, **headers: str) -> Reply:
    """Get a path without what aiohttp's client does by itself."""
    url = f"http://127.0.0.1:{api.port}{path}"
    async with api.session.get(
        url, headers=headers, skip_auto_headers=["Accept-Encoding"]
    ) as response:
        return Reply(response.status, response.headers, await response.read())


async def test_asyncapi_document_is_served_to_anybody(api: Api) -> None:
    reply = await api.get("/asyncapi.json", user=None)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
    assert reply.json == document()
    assert reply.headers["ETag"] == (await api.get("/asyncapi.json/", user=None)).headers["ETag"]


@pytest.mark.parametrize("page", PAGES, ids=[page.path for page in PAGES])
async def test_a_page_allows_nothing_from_outside(api: Api, page: Page) -> None:
    path = page.path
    reply = await api.get(path, user=None)
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
    rules = dict(
        rule.split(" ", 1) for rule in reply.headers["Content-Security-Policy"].split("; ")
    )
    assert (rules["default-src"], rules["script-src"]) == ("'none'", "'self'")
    assert (rules["connect-src"], rules["frame-ancestors"]) == ("'self'", "'none'")
    assert "unsafe" not in reply.headers["Content-Security-Policy"]
    assert reply.headers["X-Frame-Options"] == "DENY"
    assert reply.headers["Referrer-Policy"] == "no-referrer"
    assert reply.headers["Cache-Control"] == "no-store"


async def test_the_number_that_allows_styles_is_used_once(api: Api) -> None:
    replies = [await api.get("/docs", user=None) for _ in range(2)]
    numbers = [
        re.findall(r"'nonce-([\w-]{20,})'", reply.headers["Content-Security-Policy"])
        for reply in replies
    ]
    assert numbers[0] != numbers[1]
    for [number], reply in zip(numbers, replies, strict=True):
        assert f'<meta property="csp-nonce" content="{number}">' in reply.body.decode()


@pytest.mark.parametrize("path", [page.path for page in PAGES])
async def test_whatever_a_page_names_is_there(api: Api, path: str) -> None:
    html = (await api.get(path, user=None)).body.decode()
    named = {url for url in _LOADED.findall(html) if not url.startswith(("#", "data:"))}
    assert {"/openapi.json", "/asyncapi.json", "/docs", "/docs/events", "/docs/try"} <= named
    for url in named:
        assert (await api.get(url, user=None)).status == 200, url


@pytest.mark.parametrize("name", DOCS)
async def test_a_file_comes_compressed_and_may_be_kept(api: Api, name: str) -> None:
    path = f"/docs/{name}"
    packed = await api.get(f"{path}?v={DOCS[name].version}", user=None, headers=GZIP)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert packed.headers["Content-Type"] == DOCS[name].media_type
    assert packed.headers["Vary"] == "Accept-Encoding"
    plain = await raw(api, path)
    assert "Content-Encoding" not in plain.headers
    assert "immutable" not in plain.headers["Cache-Control"]
    assert plain.body == packed.body
    assert plain.headers["ETag"] != packed.headers["ETag"]


@pytest.mark.parametrize("accepted", ["gzip", "identity"])
@pytest.mark.parametrize("address", ["named", "bare", "/openapi.json", "/asyncapi.json"])
async def test_what_a_client_has_is_not_sent_again(api: Api, address: str, accepted: str) -> None:
    file = DOCS["redoc.js"]
    path = {"named": file.url, "bare": file.path}.get(address, address)
    encoding = {"Accept-Encoding": accepted}
    first = await raw(api, path, **encoding)
    again = await raw(api, path, **encoding, **{"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    for name in ("ETag", "Cache-Control", "Vary"):
        assert again.headers[name] == first.headers[name], name
    assert "Content-Encoding" not in again.headers


@pytest.mark.parametrize("path", ["/docs/redoc.js", "/openapi.json", "/asyncapi.json"])
async def test_both_forms_are_the_same_thing_with_a_tag_each(api: Api, path: str) -> None:
    packed = await raw(api, path, **{"Accept-Encoding": "gzip"})
    plain = await raw(api, path, **{"Accept-Encoding": "identity"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.body == plain.body
    tag = plain.headers["ETag"].strip('"')
    assert "-" not in tag
    assert packed.headers["ETag"] == f'"{tag}-gzip"'
    assert packed.headers.getall("Vary") == plain.headers.getall("Vary") == ["Accept-Encoding"]
    head = await api.send("HEAD", path, user=None, headers=GZIP)
    assert head.headers["ETag"] == packed.headers["ETag"]


@pytest.mark.parametrize("name", DOCS)
async def test_a_file_of_another_version_is_not_kept(api: Api, name: str) -> None:
    reply = await api.get(f"/docs/{name}?v=0123456789abcdef", user=None)
    assert "immutable" not in reply.headers["Cache-Control"]


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("*", "gzip"),
        ("gzip;q=0.5, identity", None),
        ("br, GZIP;q=0.5", "gzip"),
        ("gzip; q=0", None),
        ("gzip;q=0.000", None),
        ("x-gzip-like", None),
        ("identity", None),
        ("", None),
    ],
)
async def test_a_client_gets_a_form_that_it_can_have(
    api: Api, accepted: str, encoding: str | None
) -> None:
    reply = await raw(api, "/docs/try.js", **{"Accept-Encoding": accepted})
    assert reply.headers.get("Content-Encoding") == encoding
    assert b"SwaggerUIBundle" in reply.body


@pytest.mark.parametrize(
    "path",
    [
        "/docs/NOTICE",
        "/docs/redoc.js.gz",
        "/docs/..%2fpages.py",
        "/docs/../pages.py",
        "/docs/static/page.css",
        "/docs/nothing",
    ],
)
async def test_nothing_else_lies_there(api: Api, path: str) -> None:
    assert (await raw(api, path)).status == 404


def test_every_vendored_file_is_listed_as_it_is() -> None:
    listed = dict(_LISTED.findall((FOLDER / "NOTICE").read_text(encoding="utf-8")))
    stored = {path.name.removesuffix(".gz") for path in FOLDER.glob("*.gz")}
    assert set(listed) == stored == set(DOCS) - OWN
    for name, digest in listed.items():
        content = gzip.decompress((FOLDER / f"{name}.gz").read_bytes())
        assert hashlib.sha256(content).hexdigest() == digest
        assert b"cdn.redoc.ly" not in content


@pytest.mark.parametrize("viewer", ["Redoc 3.0.1", "Swagger UI 5.35.0"])
def test_the_viewers_are_named_with_their_versions(viewer: str) -> None:
    assert viewer in (FOLDER / "NOTICE").read_text(encoding="utf-8")
    assert viewer in (REPOSITORY / "README.md").read_text(encoding="utf-8")

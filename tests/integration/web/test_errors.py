"""Each row of the contract's error table (section 2, "Errors")."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from io import BytesIO

import email_validator
import orjson
import pytest

from rules.ids import new_id
from tests.integration.web.api import TEACHER, Api
from web.problems import PROBLEMS

CLASSES = "/v1/classes"
STUDENTS = "/v1/classes/students"
ASA = {"first_name": "Åsa", "last_name": "Öberg"}
JSON = {"Content-Type": "application/json"}


async def classes_made(api: Api) -> int:
    return int((await api.get(CLASSES)).json["pagination"]["returned"])


@pytest.mark.parametrize(
    ("data", "pointers"),
    [
        (b"", [""]),
        (b"{", [""]),
        (b"null", [""]),
        (b"[]", [""]),
        (b'"text"', [""]),
        (b"\xff\xfe", [""]),
        (b"[" * 100_000, [""]),
        (b"{}", ["/name", "/course_codes"]),
        (b'{"name": 1, "course_codes": ["SV1"]}', ["/name"]),
        (b'{"name": null, "course_codes": ["SV1"]}', ["/name"]),
        (b'{"name": "", "course_codes": ["SV1"]}', ["/name"]),
        (b'{"name": " ", "course_codes": ["SV1"]}', ["/name"]),
        (b'{"name": "a\\u0000b", "course_codes": ["SV1"]}', ["/name"]),
        (b'{"name": "a\\nb", "course_codes": ["SV1"]}', ["/name"]),
        (b'{"name": "\\ud800", "course_codes": ["SV1"]}', [""]),
        (b'{"name": "%s", "course_codes": ["SV1"]}' % (b"x" * 101), ["/name"]),
        (b'{"name": "9A", "course_codes": []}', ["/course_codes"]),
        (b'{"name": "9A", "course_codes": "SV1"}', ["/course_codes"]),
        (b'{"name": "9A", "course_codes": ["sv1"]}', ["/course_codes/0"]),
        (b'{"name": "9A", "course_codes": [["SV1"]]}', ["/course_codes/0"]),
    ],
)
async def test_bad_class_is_refused_with_pointers(
    api: Api, data: bytes, pointers: list[str]
) -> None:
    reply = await api.send("POST", CLASSES, data=data, headers=JSON)
    reply.problem(400, "VALIDATION_ERROR")
    assert reply.pointers == pointers
    assert await classes_made(api) == 0


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/person_name"),
        ({"person_name": {"legal_full_name": "Åsa"}}, "/person_name"),
        ({"person_name": {**ASA, "first_name": "x" * 256}}, "/person_name/first_name"),
        ({"person_name": ASA, "email": "no address"}, "/email"),
        ({"person_name": ASA, "email": "\u200b"}, "/email"),
        ({"person_name": ASA, "class_ids": ["x"]}, "/class_ids/0"),
        ({"person_name": ASA, "class_ids": None}, "/class_ids"),
    ],
)
async def test_bad_student_is_refused_with_a_pointer(
    api: Api, body: dict[str, object], pointer: str
) -> None:
    reply = await api.send("POST", STUDENTS, body)
    reply.problem(400, "VALIDATION_ERROR")
    assert reply.pointers == [pointer]


@pytest.mark.parametrize("email", ["\u0301" * 40_000 + "@x.se", "a@" + "\u0301" * 40_000 + ".se"])
async def test_nothing_looks_at_an_address_that_is_too_long(
    api: Api, monkeypatch: pytest.MonkeyPatch, email: str
) -> None:
    """Else one request holds up all others for seconds: the library's time grows as a square."""
    looked_at: list[int] = []

    def look(address: str, **_options: object) -> None:
        looked_at.append(len(address))
        raise email_validator.EmailNotValidError

    monkeypatch.setattr(email_validator, "validate_email", look)
    reply = await api.send("POST", STUDENTS, {"person_name": ASA, "email": email})
    reply.problem(400, "VALIDATION_ERROR")
    assert reply.pointers == ["/email"]
    assert looked_at == []


async def test_the_services_own_addresses_are_for_nobody_else(api: Api) -> None:
    body = {"person_name": ASA, "email": f"unknown.{new_id()}@HuleEdu.system"}
    reply = await api.send("POST", STUDENTS, body)
    reply.problem(400, "VALIDATION_ERROR")
    assert reply.pointers == ["/email"]


@pytest.mark.parametrize("body", [{}, {"associations": []}, {"associations": [{}]}])
async def test_bad_decisions_are_refused(api: Api, body: dict[str, object]) -> None:
    path = f"/v1/batches/{new_id()}/student-associations/confirm"
    (await api.send("POST", path, body)).problem(400, "VALIDATION_ERROR")


async def test_a_flood_of_faults_is_cut_short(api: Api) -> None:
    path = f"/v1/batches/{new_id()}/student-associations/confirm"
    reply = await api.send("POST", path, {"associations": [{}] * 9000})
    assert len(reply.problem(400, "VALIDATION_ERROR")["errors"]) == 100


async def test_more_than_one_course_is_refused(api: Api) -> None:
    body = {"name": "9A", "course_codes": ["SV1", "SV2"]}
    reply = await api.send("POST", CLASSES, body)
    reply.problem(400, "MULTIPLE_COURSE_ERROR")
    assert reply.pointers == ["/course_codes"]
    path = f"{CLASSES}/{await api.new_class()}"
    (await api.send("PUT", path, body)).problem(400, "MULTIPLE_COURSE_ERROR")


@pytest.mark.parametrize(
    ("codes", "pointer"), [(["XX"], "/course_codes/0"), (["SV1", "SV2"], "/course_codes")]
)
async def test_every_fault_of_a_class_is_named_at_once(
    api: Api, codes: list[str], pointer: str
) -> None:
    body = {"name": "", "course_codes": codes}
    for method, path in (("POST", CLASSES), ("PUT", f"{CLASSES}/{await api.new_class()}")):
        reply = await api.send(method, path, body)
        reply.problem(400, "VALIDATION_ERROR")
        assert reply.pointers == ["/name", pointer]


@pytest.mark.parametrize(
    "id_",
    [
        "1",
        "roster",
        "00000000000070008000000000000000",
        "%7B00000000-0000-7000-8000-000000000000%7D",
        "00000000-0000-7000-8000-00000000000g",
        "00000000-0000-7000-8000-000000000000%0A",
        "%00",
        "%FF",
        "%2e%2e%2fx",
    ],
)
@pytest.mark.parametrize("path", [f"{CLASSES}/{{}}", f"{CLASSES}/{{}}/roster", f"{STUDENTS}/{{}}"])
async def test_id_that_is_no_uuid_is_refused(api: Api, path: str, id_: str) -> None:
    reply = await api.get(path.format(id_))
    reply.problem(400, "VALIDATION_ERROR")
    assert reply.pointers[0] in {"/class_id", "/student_id"}


async def test_id_is_taken_in_any_case(api: Api) -> None:
    class_id = await api.new_class()
    assert (await api.get(f"{CLASSES}/{class_id.upper()}")).json["id"] == class_id


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"{CLASSES}/{new_id()}", "CLASS_NOT_FOUND"),
        (f"{CLASSES}/{new_id()}/roster", "CLASS_NOT_FOUND"),
        (f"{STUDENTS}/{new_id()}", "STUDENT_NOT_FOUND"),
        (f"/v1/batches/{new_id()}/student-associations", "BATCH_NOT_FOUND"),
        ("/v1", "NOT_FOUND"),
        ("/v1/nothing", "NOT_FOUND"),
        ("/", "NOT_FOUND"),
        ("/table", "NOT_FOUND"),
        ("/router/", "NOT_FOUND"),
        ("/stats", "NOT_FOUND"),
        ("/v1//classes", "NOT_FOUND"),
    ],
)
async def test_absent_is_404(api: Api, path: str, code: str) -> None:
    problem = (await api.get(path)).problem(404, code)
    assert problem["instance"] == path
    assert problem["type"].startswith("urn:huleedu:class-management:problem:")


async def test_student_in_an_absent_class_is_not_made(api: Api) -> None:
    body = {"person_name": ASA, "email": "asa@skola.se", "class_ids": [str(new_id())]}
    (await api.send("POST", STUDENTS, body)).problem(404, "CLASS_NOT_FOUND")
    await api.new_student(email="asa@skola.se")  # the address is still free


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", CLASSES, "GET, HEAD, OPTIONS, POST"),
        ("DELETE", STUDENTS, "GET, HEAD, OPTIONS, POST"),
        ("PUT", f"{STUDENTS}/", "GET, HEAD, OPTIONS, POST"),
        ("HEAD", f"/v1/batches/{new_id()}/student-associations/confirm", "OPTIONS, POST"),
        ("POST", f"{STUDENTS}/{new_id()}", "DELETE, GET, HEAD, OPTIONS, PUT"),
        ("PATCH", f"{CLASSES}/{new_id()}", "DELETE, GET, HEAD, OPTIONS, PUT"),
        ("POST", f"{CLASSES}/{new_id()}/roster", "GET, HEAD, OPTIONS"),
        ("GET", f"/v1/batches/{new_id()}/student-associations/confirm", "OPTIONS, POST"),
        ("PROPFIND", "/healthz", "GET, HEAD, OPTIONS"),
    ],
)
async def test_wrong_verb_names_the_right_ones(
    api: Api, method: str, path: str, allowed: str
) -> None:
    reply = await api.send(method, path)
    assert (reply.status, reply.headers["Allow"]) == (405, allowed)
    if method != "HEAD":
        reply.problem(405, "METHOD_NOT_ALLOWED")


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/xml",
        "application/jsonx",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin-1",
        "multipart/form-data; boundary=x",
        "nonsense",
    ],
)
async def test_other_media_types_are_415(api: Api, content_type: str) -> None:
    data = orjson.dumps({"name": "9A", "course_codes": ["SV1"]})
    reply = await api.send("POST", CLASSES, data=data, headers={"Content-Type": content_type})
    reply.problem(415, "UNSUPPORTED_MEDIA_TYPE")
    assert await classes_made(api) == 0


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "application/json",
        "Application/JSON; charset=UTF-8",
        'application/json;charset="utf-8"',
        "application/merge-patch+json",
    ],
)
async def test_json_in_utf8_is_taken(api: Api, content_type: str | None) -> None:
    data = orjson.dumps({"name": "9Å", "course_codes": ["SV1"]})
    headers = {"Content-Type": content_type} if content_type else {}
    assert (await api.send("POST", CLASSES, data=data, headers=headers)).status == 201


def padded(size: int) -> bytes:
    body = orjson.dumps({"name": "9A", "course_codes": ["SV1"]})
    return body + b" " * (size - len(body))


async def in_chunks(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 65536):
        yield data[start : start + 65536]


async def test_body_of_one_mebibyte_is_taken_and_no_byte_more(api: Api) -> None:
    whole = await api.send("POST", CLASSES, data=BytesIO(padded(1024**2)), headers=JSON)
    assert whole.status == 201
    over = await api.send("POST", CLASSES, data=BytesIO(padded(1024**2 + 1)), headers=JSON)
    over.problem(413, "PAYLOAD_TOO_LARGE")


async def test_chunked_body_is_measured_as_it_comes(api: Api) -> None:
    small = await api.send("POST", CLASSES, data=in_chunks(padded(200_000)), headers=JSON)
    assert small.status == 201
    large = await api.send("POST", CLASSES, data=in_chunks(padded(2 * 1024**2)), headers=JSON)
    large.problem(413, "PAYLOAD_TOO_LARGE")


async def test_compressed_body_is_measured_unpacked(api: Api) -> None:
    headers = {**JSON, "Content-Encoding": "gzip"}
    bomb = gzip.compress(padded(50 * 1024**2))
    reply = await api.send("POST", CLASSES, data=bomb, headers=headers)
    reply.problem(413, "PAYLOAD_TOO_LARGE")
    broken = await api.send("POST", CLASSES, data=b"no gzip", headers=headers)
    broken.problem(400, "VALIDATION_ERROR")


async def raw(api: Api, *lines: str, body: bytes = b"") -> bytes:
    """Send what no HTTP client would; return the response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    head = "\r\n".join([*lines, "Host: x", "X-User-ID: t", "", ""])
    writer.write(head.encode() + body)
    answer = await reader.readuntil(b"\r\n\r\n")
    size = next(line for line in answer.lower().splitlines() if line.startswith(b"content-length"))
    answer += await reader.readexactly(int(size.partition(b":")[2]))
    writer.close()
    return answer


async def test_announced_size_is_enough_to_refuse(api: Api) -> None:
    lines = ("POST /v1/classes HTTP/1.1", "Content-Length: 99999999")
    answer = await raw(api, *lines, body=b" " * 10)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"PAYLOAD_TOO_LARGE" in answer


async def test_chunks_that_are_none_are_refused(api: Api) -> None:
    lines = ("POST /v1/classes HTTP/1.1", "Transfer-Encoding: chunked")
    answer = await raw(api, *lines, body=b"zz\r\n{}\r\n")
    assert b" 400 " in answer.splitlines()[0]  # by aiohttp: this is no HTTP, nobody asks for it
    assert b"Traceback" not in answer


@pytest.mark.parametrize("path", [CLASSES, STUDENTS, "/healthz"])
async def test_slash_at_the_end_makes_no_difference(api: Api, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        plain, slashed = await api.send(method, path, {}), await api.send(method, f"{path}/", {})
        assert plain.status == slashed.status
        assert plain.headers.get("Allow") == slashed.headers.get("Allow")


async def test_ids_before_a_slash_are_the_same(api: Api) -> None:
    class_id = await api.new_class()
    for suffix in ("", "/roster"):
        path = f"{CLASSES}/{class_id}{suffix}"
        assert (await api.get(path)).json == (await api.get(f"{path}/")).json
    made = await api.send("POST", f"{CLASSES}/", {"name": "9B", "course_codes": ["SV1"]})
    assert made.headers["Location"] == f"{CLASSES}/{made.json['id']}"


async def test_head_answers_like_get_without_a_body(api: Api) -> None:
    path = f"{CLASSES}/{await api.new_class()}"
    got, head = await api.get(path), await api.send("HEAD", path)
    assert (head.status, head.body) == (200, b"")
    for name in ("ETag", "Content-Type", "Content-Length"):
        assert head.headers[name] == got.headers[name]
    assert (await api.send("HEAD", f"{CLASSES}/{new_id()}")).status == 404


@pytest.mark.parametrize("path", [CLASSES, f"{CLASSES}/x", "/nothing", "/metrics"])
async def test_no_answer_is_kept_or_guessed_at(api: Api, path: str) -> None:
    headers = (await api.get(path)).headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"


async def test_unknown_members_are_ignored(api: Api) -> None:
    body = {"name": "9A", "course_codes": ["SV1"], "later": {"more": 1}}
    assert (await api.send("POST", CLASSES, body, user=TEACHER)).status == 201


def test_every_error_code_of_the_contract_has_a_form() -> None:
    assert set(PROBLEMS) == {
        *("VALIDATION_ERROR", "MULTIPLE_COURSE_ERROR", "COURSE_NOT_FOUND"),
        *("AUTHENTICATION_REQUIRED", "CLASS_NOT_FOUND", "STUDENT_NOT_FOUND"),
        *("BATCH_NOT_FOUND", "ESSAY_NOT_FOUND", "STUDENT_EMAIL_CONFLICT", "BATCH_CONFLICT"),
        *("EXTERNAL_ID_CONFLICT", "PLACEHOLDER_STUDENT"),
        *("PRECONDITION_FAILED", "IDEMPOTENCY_CONFLICT", "PAYLOAD_TOO_LARGE"),
        *("UNSUPPORTED_MEDIA_TYPE", "METHOD_NOT_ALLOWED", "NOT_FOUND"),
        *("IMPORT_NOT_FOUND", "IMPORT_CONFLICT", "TOO_LARGE_CHANGE"),
        *("TOO_MANY_REQUESTS", "NOT_ACCEPTABLE", "RESYNC_REQUIRED"),
        *("BAD_REQUEST", "SERVICE_UNAVAILABLE", "INTERNAL_ERROR"),
    }

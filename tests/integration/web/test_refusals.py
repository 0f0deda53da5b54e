"""What is no HTTP, or HTTP that is not taken: refused in the same form as everything else."""

import gzip
import logging
import zlib

import pytest
import structlog
from structlog.testing import LogCapture

import web.refusals
from tests.integration.web.api import Api
from tests.integration.web.wire import Answer, wire
from web.unpacking import Unpacker

GET = "GET /v1/classes HTTP/1.1"
POST = "POST /v1/classes HTTP/1.1"
WHO = ("Host: x", "X-User-ID: t")
CHUNKED = "Transfer-Encoding: chunked"
SECRET = "hemligt"


async def told(api: Api, *lines: str, body: bytes = b"") -> Answer:
    """Send a request; return what is answered, after which the service closes."""
    async with wire(api.port) as connection:
        connection.send(*lines, body=body)
        return await connection.answer()


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ((f"{SECRET}",), 400),
        (("GET  HTTP/1.1", *WHO), 400),
        (("NONSENSE /v1/classes HTTP/1.1", *WHO), 400),
        (("GET /v1/classes HTTP/3.7", *WHO), 400),
        (("GET /v1/classes XTTP/1.1", *WHO), 400),
        (("GET http://[::1/x HTTP/1.1", *WHO), 400),
        ((GET,), 400),  # no Host
        ((GET, *WHO, "Host: y"), 400),
        ((GET, *WHO, f"{SECRET}"), 400),
        ((GET, *WHO, f"a b: {SECRET}"), 400),
        ((GET, *WHO, f"a: {SECRET}\x00"), 400),
        ((GET, *WHO, *(f"x{n}: y" for n in range(200))), 400),
        ((GET, *WHO, f"a: {SECRET * 2000}"), 431),
        ((GET, *WHO, f"{SECRET * 2000}: a"), 431),
        ((f"GET /v1/{SECRET * 10_000} HTTP/1.1", *WHO), 414),
        ((POST, *WHO, "Content-Length: 2", "Content-Length: 2"), 400),
        ((POST, *WHO, "Content-Length: 2", "Content-Length: 3"), 400),
        ((POST, *WHO, "Content-Length: -1"), 400),
        ((POST, *WHO, "Content-Length: +2"), 400),
        ((POST, *WHO, "Content-Length: zwei"), 400),
        ((POST, *WHO, f"Content-Length: {2**64}"), 400),
        ((POST, *WHO, "Content-Length: 2", CHUNKED), 400),
        ((POST, *WHO, CHUNKED, CHUNKED), 400),
        ((POST, *WHO, "Transfer-Encoding: gzip"), 400),
        ((POST, *WHO, "Transfer-Encoding: chunked, gzip"), 400),
        ((POST, *WHO, "Content-Type: application/json", "Content-Type: text/plain"), 400),
        ((POST, *WHO, "Expect: 200-ok", "Content-Length: 2"), 417),
        (("GET /nothing HTTP/1.1", *WHO, "Expect: more"), 417),
    ],
)
async def test_what_is_no_http_is_a_problem_document_too(
    memory_api: Api, caplog: pytest.LogCaptureFixture, lines: tuple[str, ...], status: int
) -> None:
    answer = await told(memory_api, *lines)
    answer.problem(status, "BAD_REQUEST")
    assert answer.headers["connection"] == "close"
    assert SECRET.encode() not in answer.body
    assert [line for line in caplog.records if line.levelno > logging.DEBUG] == []
    labels = {"method": "other", "route": "unmatched", "status": str(status)}
    name = "class_management_http_requests_total"
    assert memory_api.setup.metrics.registry.get_sample_value(name, labels) == 1


async def test_what_is_refused_can_be_found_in_the_log(
    memory_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = LogCapture()
    logger = structlog.wrap_logger(None, processors=[log])
    monkeypatch.setattr(web.refusals, "_access_log", logger)
    answers = [await told(memory_api, SECRET) for _ in range(web.refusals.LINES + 5)]
    answers.append(await told(memory_api, GET, *WHO, "Expect: more"))
    assert [answer.status for answer in answers] == [400] * (len(answers) - 1) + [417]
    shown = [*answers[: web.refusals.LINES], answers[-1]]
    assert log.entries == [
        {
            "event": "request",
            "log_level": "info",
            "method": "other",
            "route": "unmatched",
            "status": answer.status,
            "left_out": 0,
            "correlation_id": answer.headers["x-correlation-id"],
        }
        for answer in shown
    ]


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Encoding: br",),
        ("Content-Encoding: zstd",),
        ("Content-Encoding: ZSTD",),
        ("Content-Encoding: compress",),
        ("Content-Encoding: gzip, gzip",),
        ("Content-Encoding: gzip", "Content-Encoding: gzip"),
        ("Content-Encoding: nonsense",),
    ],
)
@pytest.mark.parametrize("content", [("Content-Length: 2",), (CHUNKED,)])
async def test_encodings_that_are_not_there_are_415(
    memory_api: Api,
    caplog: pytest.LogCaptureFixture,
    lines: tuple[str, ...],
    content: tuple[str, ...],
) -> None:
    body = b"2\r\n{}\r\n0\r\n\r\n" if content == (CHUNKED,) else b"{}"
    answer = await told(memory_api, POST, *WHO, *lines, *content, body=body)
    answer.problem(415, "UNSUPPORTED_MEDIA_TYPE")
    assert [line for line in caplog.records if line.levelno > logging.DEBUG] == []


@pytest.mark.parametrize(
    ("begin", "rest"),
    [
        (b"2\r\n{}\r\n", b"zz\r\n"),
        (b"2\r\n{}\r\n", b"5\r\nab\r\n0\r\n\r\n"),
        (b"", b"zz\r\n{}\r\n"),
        (b"", b"2;" + b"x" * 70_000 + b"\r\n{}\r\n0\r\n\r\n"),
        (b"2\r\n{}\r\n0\r\n", b"a b: c\r\n\r\n"),  # a trailer that is none
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
async def test_broken_chunks_are_400(
    memory_api: Api, caplog: pytest.LogCaptureFixture, begin: bytes, rest: bytes, *, at_once: bool
) -> None:
    async with wire(memory_api.port) as connection:
        connection.send(POST, *WHO, CHUNKED, body=begin)
        if not at_once:
            await connection.writer.drain()
            async with wire(memory_api.port) as other:  # the service has seen the beginning
                other.get("/livez")
                await other.answer()
        connection.writer.write(rest)
        answer = await connection.answer()
        assert answer.status == 400
        answer.problem(400, answer.json["error_code"])
    assert [line for line in caplog.records if line.levelno > logging.DEBUG] == []


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_body_that_is_not_wanted_is_not_unpacked(
    memory_api: Api, monkeypatch: pytest.MonkeyPatch, method: str, encoding: str
) -> None:
    unpacked = 0
    original = Unpacker.feed

    def counted(self: Unpacker, packed: bytes, most: int) -> bytes:
        nonlocal unpacked
        found = original(self, packed, most)
        unpacked += len(found)
        return found

    monkeypatch.setattr(Unpacker, "feed", counted)
    mib = 1024**2
    bomb = {"gzip": gzip, "deflate": zlib}[encoding].compress(b" " * 10 * mib)  # 10 KB
    answer = await told(
        memory_api,
        f"{method} /v1/classes HTTP/1.1",
        *WHO,
        f"Content-Encoding: {encoding}",
        f"Content-Length: {len(bomb)}",
        body=bomb,
    )
    assert answer.status == {"GET": 200, "POST": 413, "DELETE": 405}[method]
    assert unpacked == (mib + 1 if method == "POST" else 0)


@pytest.mark.parametrize("missing", [1, 8, 9])
async def test_a_compressed_body_without_its_end_is_refused(memory_api: Api, missing: int) -> None:
    """Its checksum is there: what breaks off earlier might be JSON by chance."""
    whole = gzip.compress(b'{"name": "9A", "course_codes": ["SV1"]}')
    for body, status in ((whole[:-missing], 400), (whole + b"x", 400), (whole, 201)):
        lines = ("Content-Encoding: gzip", f"Content-Length: {len(body)}")
        answer = await told(memory_api, POST, *WHO, *lines, body=body)
        assert answer.status == status
        if status != 201:
            answer.problem(400, "VALIDATION_ERROR")


async def test_a_body_that_unpacks_to_nothing_has_a_size_too(memory_api: Api) -> None:
    nothing = zlib.compress(b"", wbits=-15, level=0)[:-5] + b"\0\0\0\xff\xff" * 300_000
    chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(nothing), nothing)
    async with wire(memory_api.port) as connection:
        connection.send(POST, *WHO, CHUNKED, "Content-Encoding: deflate", body=chunk)
        (await connection.answer()).problem(413, "PAYLOAD_TOO_LARGE")


async def test_requests_before_and_behind_each_other_are_answered_in_order(
    memory_api: Api,
) -> None:
    body = b'{"name": "9A", "course_codes": ["SV1"]}'
    async with wire(memory_api.port) as connection:
        connection.send(POST, *WHO, f"Content-Length: {len(body)}", body=body)
        connection.get("/v1/classes")
        connection.get("/v1/nothing")
        statuses = [(await connection.answer()).status for _ in range(3)]
        assert statuses == [201, 200, 404]
        connection.send("NONSENSE")
        connection.get("/v1/classes")
        (await connection.answer()).problem(400, "BAD_REQUEST")
        assert await connection.rest() == b""  # nothing is understood behind nonsense


async def test_a_client_may_wait_to_be_told_to_go_on(memory_api: Api) -> None:
    body = b'{"name": "9A", "course_codes": ["SV1"]}'
    async with wire(memory_api.port) as connection:
        connection.send(POST, *WHO, f"Content-Length: {len(body)}", "Expect: 100-continue")
        assert (await connection.answer()).status == 100
        connection.writer.write(body)
        assert (await connection.answer()).status == 201


@pytest.mark.parametrize("keep", [True, False])
async def test_http_1_0_is_answered(memory_api: Api, *, keep: bool) -> None:
    async with wire(memory_api.port) as connection:
        lines = ("Connection: keep-alive",) if keep else ()
        connection.send("GET /v1/classes HTTP/1.0", "X-User-ID: t", *lines)  # it knows no Host
        assert (await connection.answer()).status == 200
        if keep:
            connection.send("GET /v1/classes HTTP/1.0", "X-User-ID: t")
            assert (await connection.answer()).status == 200
        assert await connection.rest() == b""


async def test_tls_and_odd_methods_do_no_harm(memory_api: Api) -> None:
    async with wire(memory_api.port) as connection:
        connection.writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 100)
        (await connection.answer()).problem(400, "BAD_REQUEST")
    for line in ("CONNECT x:80 HTTP/1.1", "OPTIONS * HTTP/1.1", "GET x:y@z HTTP/1.1"):
        answer = await told(memory_api, line, *WHO)
        assert answer.status in {400, 404, 405}
        answer.problem(answer.status, answer.json["error_code"])

"""Answers of 1 KiB and more are compressed for who takes gzip (contract, section 2)."""

import gzip
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.integration.web.api import SERVICE, TEACHER, Api
from tests.integration.web.test_connections import A_CLASS, large
from tests.integration.web.wire import Answer, wire

CLASSES = "/v1/classes"


async def packed(api: Api, path: str, method: str = "GET", *headers: str) -> Answer:
    """Ask as a client that takes gzip; return what came over the wire."""
    async with wire(api.port) as connection:
        who = f"X-User-ID: {quote(TEACHER)}"
        accept = "Accept-Encoding: gzip, deflate, br"
        connection.send(f"{method} {path} HTTP/1.1", "Host: x", who, accept, *headers)
        return await connection.answer(has_body=method != "HEAD")


async def a_class(api: Api, students: int) -> str:
    class_id = await api.new_class()
    for n in range(students):
        await api.new_student(f"Åsa {n}", email=f"{n}@x.se", class_ids=(class_id,))
    return f"{CLASSES}/{class_id}"


async def test_a_large_answer_is_compressed(api: Api) -> None:
    path = await a_class(api, 12)
    for url in (path, f"{path}/roster", f"{CLASSES}/students"):
        plain = await api.get(url)
        assert len(plain.body) >= 1024
        answer = await packed(api, url)
        assert answer.status == 200
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["content-length"] == str(len(answer.body))
        assert len(answer.body) < len(plain.body)
        assert gzip.decompress(answer.body) == plain.body
        varies = "Accept, Accept-Encoding" if url.endswith("roster") else "Accept-Encoding"
        assert answer.headers["vary"] == plain.headers["Vary"] == varies
        assert "Content-Encoding" not in plain.headers


async def test_the_tag_of_a_compressed_answer_is_another_one(api: Api) -> None:
    path = await a_class(api, 4)
    plain, answer = await api.get(path), await packed(api, path)
    assert answer.headers["etag"] == plain.headers["ETag"].removesuffix('"') + '-gzip"'


async def test_head_says_what_get_would(api: Api) -> None:
    path = await a_class(api, 4)
    answer, head = await packed(api, path), await packed(api, path, "HEAD")
    assert head.body == b""
    changing = ("date", "x-correlation-id")
    for headers in (answer.headers, head.headers):
        for name in changing:
            del headers[name]
    assert head.headers == answer.headers


async def test_a_small_answer_is_sent_as_it_is(api: Api) -> None:
    path = await a_class(api, 0)
    plain, answer = await api.get(path), await packed(api, path)
    assert answer.body == plain.body
    assert "content-encoding" not in answer.headers
    assert "vary" not in answer.headers


async def test_a_large_problem_is_compressed_too(memory_api: Api) -> None:
    body = b'{"associations": [' + b",".join([b'{"essay_id": 1}'] * 20) + b"]}"
    path = f"/v1/batches/{'0' * 8}-0000-7000-8000-{'0' * 12}/student-associations/confirm"
    async with wire(memory_api.port) as connection:
        connection.send(
            f"POST {path} HTTP/1.1",
            *("Host: x", "X-User-ID: t", "Accept-Encoding: gzip"),
            f"Content-Length: {len(body)}",
            body=body,
        )
        answer = await connection.answer()
    assert (answer.status, answer.headers["content-encoding"]) == (400, "gzip")
    assert answer.headers["content-type"] == "application/problem+json"
    assert b"VALIDATION_ERROR" in gzip.decompress(answer.body)


async def test_metrics_are_compressed_for_who_asks(memory_api: Api) -> None:
    answer = await packed(memory_api, "/metrics")
    assert answer.headers["content-encoding"] == "gzip"
    assert b"class_management_http_requests_total" in gzip.decompress(answer.body)
    plain = await memory_api.get("/metrics")
    assert plain.body.startswith(b"# HELP")


async def test_other_services_get_compressed_answers_too(api: Api) -> None:
    path = f"{await a_class(api, 12)}/roster"
    plain = await api.internal(path)
    key = f"X-Internal-API-Key: {SERVICE['X-Internal-API-Key']}"
    async with wire(api.port) as connection:
        service = ("X-Service-ID: essays", "Accept-Encoding: gzip")
        connection.send(f"GET {path} HTTP/1.1", "Host: x", key, *service)
        answer = await connection.answer()
    assert gzip.decompress(answer.body) == plain.body


@pytest.mark.parametrize("encoding", ["identity", "gzip;q=0", "br", "identity, gzip;q=0.5", ""])
async def test_who_does_not_take_it_gets_it_as_it_is(api: Api, encoding: str) -> None:
    path = await a_class(api, 4)
    reply = await api.get(path, headers={"Accept-Encoding": encoding})
    assert "Content-Encoding" not in reply.headers
    assert reply.json["student_count"] == 4


async def test_what_is_sent_in_pieces_is_compressed_too(tmp_path: Path) -> None:
    size = 50 * 1024**2  # more than 64 KiB also when it is compressed
    async with large(tmp_path, size) as api, wire(api.port) as connection:
        connection.get(A_CLASS, "Accept-Encoding: gzip")
        answer = await connection.answer()
        assert len(answer.body) > 64 * 1024
        assert len(gzip.decompress(answer.body)) == size
        connection.get("/livez")
        assert (await connection.answer()).status == 200

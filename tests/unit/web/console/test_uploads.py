"""Forms that bring a file: its bytes as they were, and nothing but a refusal of what is none."""

import asyncio
from collections.abc import Mapping
from urllib.parse import parse_qs

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import example, given
from hypothesis import strategies as st

from web.console.uploads import FIELDS_BYTES, UPLOAD, Upload, without_file
from web.errors import BadRequestError

BOUNDARY = "----WebKitFormBoundary7MA4YWxk"
KIND = f"multipart/form-data; boundary={BOUNDARY}"


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    """Return a part as browsers write it (HTML, "multipart form data encoding")."""
    named = "" if filename is None else f'; filename="{filename}"\r\nContent-Type: text/csv'
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
    return head.encode() + content + b"\r\n"


def whole(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def read(body: bytes, kind: str = KIND) -> tuple[Mapping[str, list[str]], Upload | None]:
    """Return the fields and the file of a form."""
    request = make_mocked_request("POST", "/", {"Content-Type": kind})
    fields = asyncio.run(without_file(request, body))
    return parse_qs(fields.decode(), keep_blank_values=True), request.get(UPLOAD)


@given(st.binary(max_size=5_000), st.text(max_size=50))
@example(b"\r\n--" + BOUNDARY.encode()[:-1] + b"\r\n", "")
@example(b"\r\n" * 100_000, "å")
def test_the_file_is_what_it_was(content: bytes, mode: str) -> None:
    body = whole(
        part("form_token", b"abc"), part("file", content, "9A.csv"), part("mode", mode.encode())
    )
    assert read(body) == ({"form_token": ["abc"], "mode": [mode]}, Upload("9A.csv", content))


@given(st.binary(max_size=400))
@example(b"\r\n" * 200)
@example(f"--{BOUNDARY}\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n".encode())
@example(f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="a"\r\n\r\nb'.encode())
@example(f"--{BOUNDARY}\r\nContent-Disposition: form-data\r\n\r\nb\r\n--{BOUNDARY}--".encode())
@example(f"--{BOUNDARY}\r\n{'x' * 10_000}: y\r\n\r\n".encode())
def test_what_is_no_form_is_refused(body: bytes) -> None:
    for content in (body, f"--{BOUNDARY}\r\n".encode() + body):
        with pytest.raises(BadRequestError):
            read(content)


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        f"multipart/form-data; boundary={'x' * 71}",
        'multipart/form-data; boundary="å"',
    ],
)
def test_a_form_whose_parts_cannot_be_told_apart_is_refused(kind: str) -> None:
    for body in (b"", b"----\r\n", whole(part("a", b"b"))):
        with pytest.raises(BadRequestError):
            read(body, kind)


@pytest.mark.parametrize(
    "parts",
    [
        [part("file", b"a", "a.csv"), part("file", b"b", "b.csv")],
        [part(f"f{number}", b"") for number in range(21)],
        [part("mode", b"x" * (FIELDS_BYTES + 1))],
        [part("mode", b"\xff")],
    ],
    ids=["two files", "many fields", "a long field", "no text"],
)
def test_more_than_a_form_has_is_refused(parts: list[bytes]) -> None:
    with pytest.raises(BadRequestError):
        read(whole(*parts))


def test_a_field_in_which_no_file_was_chosen_brings_none() -> None:
    assert read(whole(part("file", b"", ""), part("mode", b"add"))) == ({"mode": ["add"]}, None)


def test_an_empty_file_is_one() -> None:
    assert read(whole(part("file", b"", "empty.csv")))[1] == Upload("empty.csv", b"")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("klass åäö.csv", "klass åäö.csv"),
        ("a\u202eb.csv", None),
        ("x" * 300, None),
    ],
)
def test_a_name_is_only_shown(given: str, shown: str | None) -> None:
    found = read(whole(part("file", b"x", given)))[1]
    assert found == Upload(shown, b"x")


def test_a_form_without_a_file_stays_as_it_is() -> None:
    request = make_mocked_request(
        "POST", "/", {"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert asyncio.run(without_file(request, b"a=b")) == b"a=b"
    assert request.get(UPLOAD) is None

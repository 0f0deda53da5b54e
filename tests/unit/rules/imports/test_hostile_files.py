"""Whatever a file is made of, it is read or refused: nothing else comes out."""

import contextlib
import zipfile

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rules.imports.files import FileContents, FileRefusedError, Format
from rules.imports.reading import read
from tests.support.profiles import by_profile
from tests.support.samples import Sample, samples
from tests.unit.rules.imports.archives import BULK, manifest, oneroster_of, zipped

pytestmark = pytest.mark.long

_EXAMPLES = by_profile(short=150, long=5_000)
_SAMPLES = [*samples()]
_CSV = [sample for sample in _SAMPLES if sample.path.suffix == ".csv"]
_BYTES = st.one_of(
    st.binary(max_size=8), st.sampled_from([b'"', b'",', b"\r", b";", b"\x00", b"="])
)
_CHARSETS = st.sampled_from([None, "utf-8", "utf-16", "utf-16be", "windows-1252", "latin1", "x"])
#: Where in a file, as a share of its length; what is put there; how much of it that replaces.
_CHANGES = st.lists(st.tuples(st.floats(0, 1), _BYTES, st.integers(0, 8)), max_size=5)


def taken(body: bytes, form: Format, charset: str | None = None) -> FileContents | None:
    """Return what is read, None if it is refused; anything else fails."""
    found = None
    for for_class in (True, False):
        with contextlib.suppress(FileRefusedError):
            found = read(body, form, charset=charset, for_class=for_class)
    return found


def changed(body: bytes, changes: list[tuple[float, bytes, int]]) -> bytes:
    for share, put, replaced in changes:
        place = int(share * len(body))
        body = body[:place] + put + body[place + replaced :]
    return body


@settings(max_examples=_EXAMPLES)
@given(st.binary(max_size=200), _CHARSETS, st.sampled_from(Format))
@example(b"name\n\xef\xbb\xbf", None, Format.CSV)
@example(b"PK\x05\x06" + b"\x00" * 18, None, Format.ONEROSTER)
def test_any_bytes(body: bytes, charset: str | None, form: Format) -> None:
    taken(body, form, charset)


@settings(max_examples=_EXAMPLES)
@given(st.sampled_from(_CSV), _CHANGES, _CHARSETS)
def test_csv_with_anything_changed(
    sample: Sample, changes: list[tuple[float, bytes, int]], charset: str | None
) -> None:
    taken(changed(sample.path.read_bytes(), changes), Format.CSV, charset)


@settings(max_examples=_EXAMPLES)
@given(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]), _CHANGES)
@example(zipfile.ZIP_DEFLATED, [(0.75, b"", 2), (0.728515625, b"\x01\x00\x00", 1)])
def test_zip_files_with_anything_changed(
    method: int, changes: list[tuple[float, bytes, int]]
) -> None:
    taken(changed(oneroster_of(BULK, method=method), changes), Format.ONEROSTER)


@settings(max_examples=_EXAMPLES)
@given(st.sampled_from([*BULK]), _CHANGES, st.sampled_from(["bulk", "delta", "absent"]))
def test_members_with_anything_changed(
    name: str, changes: list[tuple[float, bytes, int]], mode: str
) -> None:
    members = [(f"{one}.csv", text.encode()) for one, text in BULK.items()]
    said = manifest(dict.fromkeys(BULK, "bulk") | {name: mode}).encode()
    files = dict([("manifest.csv", said), *members])
    files[f"{name}.csv"] = changed(files[f"{name}.csv"], changes)
    taken(zipped([*files.items()]), Format.ONEROSTER)


@settings(max_examples=_EXAMPLES)
@given(
    st.text(st.sampled_from('aå@,;\t"\n\r= \u202e\ufeff\x00\u2028'), max_size=60),
    st.sampled_from(["name,email", "klass;namn;kurs", "first name\tlast name\tid"]),
)
def test_who_is_on_a_line_is_read_or_said_to_be_at_fault(text: str, heading: str) -> None:
    body = f"{heading}\n{text}".encode()
    contents = taken(body, Format.CSV)
    if contents is not None:
        for row in contents.rows:
            assert row.errors or row.person.name or row.person.email or row.person.external_id

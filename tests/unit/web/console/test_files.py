"""What lies beside the console's code, and what a first page has a browser load."""

import gzip
import hashlib
import re
from pathlib import Path
from typing import Final

import pytest

from web.console.files import FILES
from web.page_files import PageFile

STATIC: Final = next(iter(FILES.values())).stored.parent
AXE: Final = STATIC.parents[2] / "tests" / "browser" / "axe"
_LISTED: Final = re.compile(r"^(\S+\.js)\n(?:    .*\n)*?    sha256   ([0-9a-f]{64})$", re.MULTILINE)


@pytest.mark.parametrize("folder", [STATIC, AXE], ids=["static", "axe"])
def test_every_file_of_others_is_listed_as_it_is(folder: Path) -> None:
    listed = dict(_LISTED.findall((folder / "NOTICE").read_text(encoding="utf-8")))
    stored = {path.name.removesuffix(".gz"): path for path in folder.glob("*.gz")}
    assert set(listed) == set(stored)
    for name, digest in listed.items():
        content = gzip.decompress(stored[name].read_bytes())
        assert hashlib.sha256(content).hexdigest() == digest


def test_every_file_of_the_folder_is_served() -> None:
    stored = {path.name for path in STATIC.iterdir() if path.suffix in {".js", ".css", ".gz"}}
    assert stored == {one.stored.name for one in FILES.values()}


@pytest.mark.parametrize("file", FILES.values(), ids=lambda one: one.name)
def test_no_file_names_another_host(file: PageFile) -> None:
    text = gzip.decompress(file.packed).decode()
    if file.stored.suffix != ".gz":
        assert not re.search(r"https?://|@import|url\(", text)

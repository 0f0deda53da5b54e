"""The members of a zip file that came from outside, read in a bounded part of memory.

Nothing is unpacked to a disk. What a member's directory entry says of its size is what is read at
most: zipfile stops there, and refuses content that goes on.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rules.imports.files import FileRefusedError
from rules.imports.lines import ReadLine

#: Bytes of the members that are read, unpacked.
MAX_UNPACKED: Final = 100 * 1024 * 1024
MAX_MEMBERS: Final = 1_000

_ENTRY: Final = b"PK\x01\x02"
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED: Final = 0x1
#: What systems add that is no member of anything.
_LITTER: Final = ("__macosx/", ".ds_store", "thumbs.db", "desktop.ini")
#: What zipfile raises about content that is not as it should be.
_FAULTS: Final = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    struct.error,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)


def _broken() -> FileRefusedError:
    return FileRefusedError("The zip file is broken.")


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip file: its members by their names in lower case, without a folder around all of them."""

    zip: zipfile.ZipFile
    members: Mapping[str, zipfile.ZipInfo]

    def reader(self, name: str) -> ReadLine:
        """Return what reads lines of a member. Both raise FileRefusedError."""
        try:
            member = self.zip.open(self.members[name])
        except _FAULTS:
            raise _broken() from None
        read_line = io.TextIOWrapper(member, "utf-8-sig", newline="").readline

        def read(most: int) -> str:
            try:
                return read_line(most)
            except UnicodeDecodeError:
                raise FileRefusedError(f"{name} is not UTF-8.") from None
            except _FAULTS:
                raise _broken() from None

        return read


def open_archive(body: bytes) -> Archive:
    """Open a zip file. Raises FileRefusedError."""
    if body.count(_ENTRY) > MAX_MEMBERS:
        raise FileRefusedError(f"The zip file has more than {MAX_MEMBERS:,} members.")
    if not zipfile.is_zipfile(io.BytesIO(body)):
        raise FileRefusedError("The file is not a zip file.")
    try:
        archive = zipfile.ZipFile(io.BytesIO(body))
    except _FAULTS:
        raise _broken() from None
    return Archive(archive, _members(archive))


def check_sizes(members: list[zipfile.ZipInfo]) -> None:
    """Check the members that are to be read. Raises FileRefusedError."""
    if any(member.flag_bits & _ENCRYPTED for member in members):
        raise FileRefusedError("The zip file is encrypted.")
    if any(member.compress_type not in _METHODS for member in members):
        raise FileRefusedError("The zip file is packed in a way that is not known: use Deflate.")
    if sum(member.file_size for member in members) > MAX_UNPACKED:
        raise FileRefusedError(
            f"The zip file has more than {MAX_UNPACKED // 1024**2} MiB unpacked."
        )


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    # zipfile's own is_dir() fails for a name that is empty.
    files = [info for info in archive.infolist() if not info.filename.endswith("/")]
    kept = [info for info in files if not _is_litter(info.filename)]
    folder = _folder([info.filename for info in kept])
    for info in kept:
        _check_name(info)
        name = info.filename[len(folder) :].casefold()
        if name in found:
            raise FileRefusedError("The zip file has a member twice.")
        found[name] = info
    return found


def _is_litter(name: str) -> bool:
    return name.casefold().startswith(_LITTER[0]) or name.casefold().endswith(_LITTER[1:])


def _check_name(info: zipfile.ZipInfo) -> None:
    name = info.orig_filename
    is_strange = not name or name.startswith("/") or "\\" in name or ":" in name or "\x00" in name
    if is_strange or ".." in name.split("/"):
        raise FileRefusedError("The zip file has a member whose name is a path elsewhere.")


def _folder(names: list[str]) -> str:
    """Return the folder that all files are in, "" if there is none."""
    folders = {name.partition("/")[0] for name in names if "/" in name}
    in_one = len(folders) == 1 and all("/" in name for name in names)
    return f"{folders.pop()}/" if in_one else ""

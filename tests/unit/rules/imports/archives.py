"""OneRoster files for tests, made of the texts of their members."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Final

CLASSES: Final = "sourcedId,status,title,courseSourcedId\nk-1,,9A,c-1\nk-2,,9B,c-2\n"
COURSES: Final = "sourcedId,courseCode\nc-1,SV1\nc-2,ENG5\n"
USERS: Final = (
    "sourcedId,status,givenName,familyName,email\n"
    "1,,Anna,Berg,anna@x.example\n2,,Erik,Lund,\n9,,Tove,Dal,\n"
)
ROLES: Final = "userSourcedId,role\n1,student\n2,student\n9,teacher\n"
ENROLLMENTS: Final = (
    "sourcedId,status,classSourcedId,userSourcedId,role\n"
    "e1,,k-1,1,student\ne2,,k-2,2,student\ne3,,k-1,9,teacher\n"
)
BULK: Final = {
    "classes": CLASSES,
    "courses": COURSES,
    "users": USERS,
    "roles": ROLES,
    "enrollments": ENROLLMENTS,
}


def manifest(modes: Mapping[str, str], version: str = "1.2") -> str:
    said = "".join(f"file.{name},{mode}\n" for name, mode in modes.items())
    return f"propertyName,value\nmanifest.version,1.0\noneroster.version,{version}\n{said}"


def zipped(members: Sequence[tuple[str, str | bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, text in members:
            archive.writestr(zipfile.ZipInfo(name), text, method)
    return packed.getvalue()


def oneroster_of(
    files: Mapping[str, str], mode: str = "bulk", method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    """Return a zip file of these, and a manifest that says so."""
    said = manifest(dict.fromkeys(files, mode))
    members = [("manifest.csv", said), *((f"{name}.csv", text) for name, text in files.items())]
    return zipped(members, method)

"""OneRoster 1.2 in CSV: who is in which class, what changed, and zip files that are none."""

import struct
import tracemalloc
import warnings
import zipfile

import pytest

from rules.imports.archives import MAX_MEMBERS, MAX_UNPACKED
from rules.imports.files import (
    FileClass,
    FileContents,
    FilePerson,
    FileRefusedError,
    FileRow,
    Format,
    LineError,
    Wish,
)
from rules.imports.lines import MAX_ROWS
from rules.imports.reading import read
from rules.models import PersonName
from tests.unit.rules.imports.archives import BULK, CLASSES, USERS, manifest, oneroster_of, zipped

ANNA = FilePerson("1", PersonName("Anna", "Berg", "Anna Berg"), "anna@x.example")
ERIK = FilePerson("2", PersonName("Erik", "Lund", "Erik Lund"))


def read_zip(body: bytes) -> FileContents:
    return read(body, Format.ONEROSTER, charset=None, for_class=False)


def refused(body: bytes) -> str:
    with pytest.raises(FileRefusedError) as caught:
        read_zip(body)
    return caught.value.detail


def wishes(contents: FileContents) -> list[tuple[str | None, str | None, Wish]]:
    return [(row.person.external_id, row.class_key, row.wish) for row in contents.rows]


def faults(contents: FileContents) -> list[tuple[str, int, str]]:
    found: list[FileRow | LineError | FileClass] = [*contents.rows, *contents.errors]
    found += contents.classes
    return [(one.file, one.line, fault.column) for one in found for fault in one.errors]


def test_students_are_read_with_their_classes_and_courses() -> None:
    contents = read_zip(oneroster_of(BULK))
    assert contents.rows == (
        FileRow(2, ANNA, "k-1", file="enrollments.csv"),
        FileRow(3, ERIK, "k-2", file="enrollments.csv"),
    )
    assert [(one.name, one.external_id, one.course_code) for one in contents.classes] == [
        ("9A", "k-1", "SV1"),
        ("9B", "k-2", "ENG5"),
    ]
    assert not contents.is_delta


def test_a_delta_names_what_it_does_not_have() -> None:
    contents = read_zip(
        oneroster_of(
            {
                "users": "sourcedId,status,givenName,familyName\n5,active,Nils,Ek\n",
                "enrollments": (
                    "status,classSourcedId,userSourcedId,role\n"
                    "active,k-7,6,student\ntobedeleted,k-8,1,student\n"
                ),
            },
            "delta",
        )
    )
    assert contents.is_delta
    assert wishes(contents) == [
        ("5", None, Wish.UPDATE),
        ("6", "k-7", Wish.KEEP),
        ("1", "k-8", Wish.LEAVE),
    ]
    assert [one.external_id for one in contents.classes] == ["k-7", "k-8"]


def test_what_is_to_be_deleted_is_said() -> None:
    contents = read_zip(
        oneroster_of(
            {
                "classes": "sourcedId,status,title\nk-1,tobedeleted,\n",
                "users": "sourcedId,status,givenName,familyName\n1,tobedeleted,,\n",
                "enrollments": (
                    "status,classSourcedId,userSourcedId,role\n"
                    "tobedeleted,k-2,1,student\nactive,k-2,1,student\nactive,k-1,2,student\n"
                ),
            },
            "delta",
        )
    )
    assert [(one.key, one.is_deleted) for one in contents.classes] == [
        ("k-1", True),
        ("k-2", False),
    ]
    assert wishes(contents)[0] == ("1", None, Wish.DELETE)
    assert faults(contents) == [
        ("enrollments.csv", 3, "userSourcedId"),
        ("enrollments.csv", 4, "classSourcedId"),
    ]


@pytest.mark.parametrize("order", [("active", "tobedeleted"), ("tobedeleted", "active")])
def test_who_left_and_came_back_is_there(order: tuple[str, str]) -> None:
    lines = "".join(f"{status},k-1,1,student\n" for status in order)
    head = "status,classSourcedId,userSourcedId,role\n"
    contents = read_zip(oneroster_of({"enrollments": head + lines}, "delta"))
    assert wishes(contents) == [("1", "k-1", Wish.KEEP)]


@pytest.mark.parametrize("mode", ["bulk", "delta"])
def test_a_user_who_only_leaves_is_changed_as_its_line_says_and_not_made(mode: str) -> None:
    users = "sourcedId,status,givenName,familyName,role\n1,,Anna,Lund,student\n2,,Erik,Lund,\n"
    head = "status,classSourcedId,userSourcedId,role\n"
    gone = "tobedeleted,k-1,1,student\ntobedeleted,k-1,2,student\nactive,k-2,2,student\n"
    files = {"classes": CLASSES, "users": users, "enrollments": head + gone}
    assert wishes(read_zip(oneroster_of(files, mode))) == [
        ("1", None, Wish.UPDATE),
        ("1", "k-1", Wish.LEAVE),
        ("2", "k-1", Wish.LEAVE),
        ("2", "k-2", Wish.KEEP),
    ]


def test_teachers_are_no_students_and_who_is_unknown_is_not_made_one() -> None:
    users = f"{USERS}7,,Olle,Ask,\n8,,Maja,Sjö,\n"
    roles = "userSourcedId,role\n8,student\n9,administrator\n"
    contents = read_zip(oneroster_of(BULK | {"users": users, "roles": roles}))
    assert wishes(contents)[:2] == [("7", None, Wish.UPDATE), ("8", None, Wish.KEEP)]
    assert "9" not in {row.person.external_id for row in contents.rows}


def test_an_older_column_for_roles_is_read_too() -> None:
    users = "sourcedId,givenName,familyName,role\n7,Olle,Ask,student\n8,Maja,Sjö,teacher\n"
    contents = read_zip(oneroster_of({"users": users}))
    assert wishes(contents) == [("7", None, Wish.KEEP)]
    assert contents.is_delta, "without enrolments nobody is missing"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"enrollments": "classSourcedId,userSourcedId,role\nk-9,1,student\n"}, "classSourcedId"),
        ({"enrollments": "classSourcedId,userSourcedId,role\nk-1,7,student\n"}, "userSourcedId"),
        ({"enrollments": "classSourcedId,userSourcedId,role\nk-1,,student\n"}, "userSourcedId"),
        (
            {"enrollments": "classSourcedId,userSourcedId,role,status\nk-1,1,student,gone\n"},
            "status",
        ),
        ({"enrollments": "classSourcedId,userSourcedId,role\nk-1,1\n"}, ""),
        ({"users": USERS + "1,,Anna,Bergh,\n"}, "sourcedId"),
        ({"users": USERS.replace("anna@x.example", "anna")}, "email"),
        ({"classes": "sourcedId,title\nk-1,9A\nk-2,\nk-1,9B\n"}, "sourcedId"),
        ({"courses": "sourcedId,courseCode\nc-1,MATMAT01A\nc-2,ENG5\n"}, "courseSourcedId"),
        ({"courses": "sourcedId,courseCode\nc-2,ENG5\n"}, "courseSourcedId"),
    ],
)
def test_a_fault_is_said_of_its_line_and_column(changed: dict[str, str], expected: str) -> None:
    found = faults(read_zip(oneroster_of(BULK | changed)))
    assert [column for _, _, column in found] == [expected]
    assert found[0][0] == f"{next(iter(changed))}.csv" or expected == "courseSourcedId"


def test_a_fault_of_a_user_is_an_error_of_each_of_its_classes() -> None:
    enrollments = "classSourcedId,userSourcedId,role\nk-1,1,student\nk-2,1,student\n"
    users = USERS.replace("anna@x.example", "anna")
    contents = read_zip(oneroster_of(BULK | {"users": users, "enrollments": enrollments}))
    found = [(row.class_key, row.file, row.line) for row in contents.rows if row.errors]
    assert found == [("k-1", "users.csv", 2), ("k-2", "users.csv", 2)]


def test_a_folder_around_all_and_what_systems_add_do_not_matter() -> None:
    files = [(f"Export/{name}.csv", text) for name, text in BULK.items()]
    said = ("Export/manifest.csv", manifest(dict.fromkeys(BULK, "bulk")))
    litter = [("__MACOSX/Export/._users.csv", "x"), ("Export/.DS_Store", "x")]
    assert read_zip(zipped([said, *files, *litter])) == read_zip(oneroster_of(BULK))


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([("users.csv", USERS)], "no manifest"),
        ([("[Content_Types].xml", "x"), ("xl/workbook.xml", "x")], "workbook"),
        ([("manifest.csv", manifest({}, "1.1"))], "1.2"),
        ([("manifest.csv", manifest({"users": "some"}))], "bulk, delta and absent"),
        ([("manifest.csv", manifest({"users": "bulk"}))], "users.csv"),
        ([("manifest.csv", "a,b\n")], "propertyName"),
        ([("manifest.csv", "")], "propertyName"),
        ([("manifest.csv", manifest({})), ("../users.csv", "")], "path"),
        ([("manifest.csv", manifest({})), ("/users.csv", "")], "path"),
        ([("manifest.csv", manifest({})), ("a\\..\\users.csv", "")], "path"),
        ([("manifest.csv", manifest({})), ("c:users.csv", "")], "path"),
        ([("manifest.csv", manifest({})), ("MANIFEST.csv", "")], "twice"),
        ([("manifest.csv", manifest({})), ("", "")], "path"),
        ([(f"{n}.csv", "") for n in range(MAX_MEMBERS + 1)], "1,000"),
        ([("manifest.csv", manifest({"users": "bulk"})), ("users.csv", b"\xff\xfe")], "UTF-8"),
        ([("manifest.csv", manifest({"users": "bulk"})), ("users.csv", "sourcedId\n")], "given"),
        (
            [
                ("manifest.csv", manifest({"users": "bulk"})),
                ("users.csv", "sourcedId,givenName,familyName,SOURCEDID\n"),
            ],
            "twice",
        ),
        (
            [
                ("manifest.csv", manifest({"users": "bulk"})),
                ("users.csv", "sourcedId,givenName,familyName\n" + "1,A,B\n" * (MAX_ROWS + 1)),
            ],
            "50,000 rows",
        ),
    ],
)
def test_what_is_no_oneroster_is_refused(members: list[tuple[str, str | bytes]], said: str) -> None:
    assert said in refused(zipped(members))


def test_a_member_that_is_there_twice_is_refused() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        body = zipped([("manifest.csv", manifest({})), ("manifest.csv", manifest({}))])
    assert "twice" in refused(body)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_ways_of_packing_are_refused(method: int) -> None:
    assert "Deflate" in refused(oneroster_of(BULK, method=method))


def _with_flag(body: bytes, flag: int) -> bytes:
    changed = bytearray(body)
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        found = changed.find(signature)
        while found >= 0:
            changed[found + place] |= flag
            found = changed.find(signature, found + 4)
    return bytes(changed)


def test_an_encrypted_file_is_refused() -> None:
    assert "encrypted" in refused(_with_flag(oneroster_of(BULK), 1))


def test_a_file_cut_off_anywhere_is_refused() -> None:
    body = oneroster_of(BULK)
    assert all(refused(body[:length]) for length in range(0, len(body), 7))


def test_what_would_unpack_to_too_much_is_refused_before_it_is() -> None:
    bomb = oneroster_of({"users": USERS + "\n" * MAX_UNPACKED})
    tracemalloc.start()
    try:
        assert "100 MiB" in refused(bomb)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_what_says_less_than_it_unpacks_to_is_refused() -> None:
    body = oneroster_of({"users": USERS + "1,,A,B,\n" * 1_000_000})
    size = struct.pack("<I", len(USERS) + 8_000_000)
    assert body.count(size) == 2
    assert refused(body.replace(size, struct.pack("<I", len(USERS))))


def test_a_line_that_never_ends_is_refused_in_little_memory() -> None:
    bomb = oneroster_of({"users": USERS + "," * 90_000_000})
    tracemalloc.start()
    try:
        assert "characters" in refused(bomb)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()

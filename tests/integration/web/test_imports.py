"""Rosters from files over HTTP: what is planned, what is applied, and what is taken back."""

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from rules.ids import new_id
from tests.integration.store.builders import Stores
from tests.integration.web.api import OTHER, Api, Reply, Setup, serving
from tests.integration.web.importing import (
    IMPORTS,
    apply,
    new_plan,
    tag_of,
    upload,
    work,
)
from web.uploads import CSV, MAX_UPLOAD, ZIP

CLASSES: Final = "/v1/classes"
ASA: Final = "Förnamn;Efternamn;E-post;Externt id\r\nÅsa;Öberg;asa@skola.se;e1\r\n"
TWO: Final = f"{ASA}Bo;Ek;bo@skola.se;e2\r\n"
MANY: Final = "Klass;Kurs;Förnamn;Efternamn\r\n9A;SV1;Åsa;Öberg\r\n9B;ENG5;Bo;Ek\r\n"


def into(class_id: str, query: str = "") -> str:
    return f"{CLASSES}/{class_id}/roster/import{query}"


async def roster(api: Api, class_id: str) -> list[str]:
    """Return the names in a class."""
    students = (await api.get(f"{CLASSES}/{class_id}/roster")).json["students"]
    return [one["full_legal_name"] for one in students]


async def rows(api: Api, import_id: str, query: str = "") -> list[Any]:
    found = await api.get(f"{IMPORTS}/{import_id}/rows{query}")
    assert found.status == 200, found.body
    return list(found.json["rows"])


async def planned(api: Api, path: str, data: bytes | str = ASA) -> str:
    reply = await upload(api, path, data)
    assert reply.status == 201, reply.body
    return str(reply.json["id"])


def counted(reply: Reply) -> Mapping[str, int]:
    return {name: count for name, count in reply.json["summary"].items() if count}


# --- the way of a file ----------------------------------------------------------------------------


async def test_a_file_is_planned_then_applied_then_taken_back(api: Api, backend: Stores) -> None:
    class_id = await api.new_class()
    made = await upload(api, into(class_id, "?filename=9A.csv"), TWO)

    assert (made.status, counted(made)) == (201, {"created": 2})
    assert (made.json["state"], made.json["class_id"]) == ("planned", class_id)
    assert (made.json["filename"], made.json["progress"]) == ("9A.csv", 0)
    path = made.headers["Location"]
    assert path == f"{IMPORTS}/{made.json['id']}"
    read = await api.get(path)
    assert (read.json, read.headers["ETag"]) == (made.json, made.headers["ETag"])
    assert [(one["line"], one["kind"]) for one in await rows(api, made.json["id"])] == [
        (2, "created"),
        (3, "created"),
    ]
    assert await roster(api, class_id) == []
    await backend.published()

    begun = await api.send("POST", f"{path}/apply", headers={"If-Match": made.headers["ETag"]})
    assert (begun.status, begun.json["state"]) == (202, "applying")
    await work(api)
    done = await api.get(path)
    assert (done.json["state"], done.json["progress"]) == ("applied", 1)
    assert done.headers["ETag"] != made.headers["ETag"]
    assert await roster(api, class_id) == ["Bo Ek", "Åsa Öberg"]
    assert len(await backend.published("huleedu.class.student.created.v1")) == 2

    back = await api.send("POST", f"{path}/undo")
    assert (back.status, counted(back)) == (201, {"deleted": 2})
    assert (back.json["undoes"], back.json["class_id"]) == (made.json["id"], class_id)
    assert await roster(api, class_id) == ["Bo Ek", "Åsa Öberg"]
    assert (await api.get(path)).json["undone_by"] is None
    await apply(api, back.json["id"])
    taken_back = await api.get(path)
    assert (taken_back.json["state"], taken_back.json["undone_by"]) == ("applied", back.json["id"])
    assert taken_back.headers["ETag"] != done.headers["ETag"]
    assert await roster(api, class_id) == []
    assert (await api.get("/v1/classes/students")).json["students"] == []


async def test_a_file_of_many_classes_makes_them(api: Api) -> None:
    import_id = await planned(api, IMPORTS, MANY)
    assert (await api.get(CLASSES)).json["classes"] == []
    await apply(api, import_id)
    made = (await api.get(CLASSES)).json["classes"]
    assert {(one["name"], one["course_code"], one["student_count"]) for one in made} == {
        ("9A", "SV1", 1),
        ("9B", "ENG5", 1),
    }


async def test_the_course_may_be_said_for_the_whole_file(api: Api) -> None:
    await apply(api, await planned(api, f"{IMPORTS}?course_code=SV2", "Class,Name\r\n9A,Bo Ek\r\n"))
    [made] = (await api.get(CLASSES)).json["classes"]
    assert made["course_code"] == "SV2"


async def test_sync_takes_out_who_is_missing_and_add_does_not(api: Api) -> None:
    class_id = await api.new_class()
    await apply(api, await planned(api, into(class_id), TWO))
    for query, left in (("", 0), ("?mode=add", 0), ("?mode=sync", 1)):
        reply = await upload(api, into(class_id, query), ASA)
        assert reply.json["summary"]["left"] == left
        assert reply.json["mode"] == query[6:] or "add"


async def test_what_was_changed_by_hand_is_overwritten_only_if_asked_for(api: Api) -> None:
    class_id = await api.new_class()
    await apply(api, await planned(api, into(class_id)))
    [student] = (await api.get(f"{CLASSES}/{class_id}")).json["students"]
    changed = {"person_name": {"first_name": "Åsa-Lena"}}
    await api.send("PUT", f"{CLASSES}/students/{student['id']}", changed)

    [kept] = await rows(api, await planned(api, into(class_id)))
    assert kept["kind"] == "unchanged"
    assert "kept_by_hand" in [notice["code"] for notice in kept["notices"]]
    [taken] = await rows(api, await planned(api, into(class_id, "?overwrite=true")))
    assert (taken["kind"], taken["before"]["first_name"]) == ("updated", "Åsa-Lena")


async def test_large_changes_need_force(api: Api) -> None:
    class_id = await api.new_class()
    names = [f"Elev;Nr{number};;e{number}\r\n" for number in range(12)]
    heading = ASA.split("\r\n", maxsplit=1)[0] + "\r\n"
    await apply(api, await planned(api, into(class_id), heading + "".join(names)), "?force=true")
    assert len(await roster(api, class_id)) == 12

    import_id = await planned(api, into(class_id, "?mode=sync"), heading + "".join(names[:9]))
    assert (await api.get(f"{IMPORTS}/{import_id}")).json["is_large"]
    (await apply(api, import_id)).problem(409, "TOO_LARGE_CHANGE")
    assert len(await roster(api, class_id)) == 12
    assert (await apply(api, import_id, "?force=true")).status == 202
    assert len(await roster(api, class_id)) == 9


async def test_classes_with_errors_are_left_out_only_if_asked_for(api: Api) -> None:
    data = "Klass;Kurs;Namn;E-post\r\n9A;SV1;Bo Ek;bo@skola.se\r\n9B;SV1;Åsa Ö;nowhere\r\n"
    import_id = await planned(api, IMPORTS, data)
    [wrong] = await rows(api, import_id, "?kind=error")
    assert (wrong["line"], wrong["errors"][0]["column"]) == (3, "E-post")
    assert "nowhere" not in str(wrong)
    refused = await apply(api, import_id)
    refused.problem(400, "VALIDATION_ERROR")
    assert (await apply(api, import_id, "?skip_errors=true")).status == 202
    assert [one["name"] for one in (await api.get(CLASSES)).json["classes"]] == ["9A"]
    assert len((await api.get(f"{IMPORTS}/{import_id}")).json["left_out"]) == 1


# --- applying is conditional ----------------------------------------------------------------------


@pytest.mark.parametrize("header", [None, "*", "", "x", '"', '*, "a"'])
async def test_a_plan_is_applied_only_by_who_has_seen_it(api: Api, header: str | None) -> None:
    import_id = await new_plan(api.setup.store.imports, await api.new_class())
    headers = {} if header is None else {"If-Match": header}
    reply = await api.send("POST", f"{IMPORTS}/{import_id}/apply", headers=headers)
    reply.problem(400, "VALIDATION_ERROR")
    assert reply.pointers == ["/If-Match"]
    assert (await api.get(f"{IMPORTS}/{import_id}")).json["state"] == "planned"


@pytest.mark.parametrize("form", ['"another"', "W/{tag}", '{tag}-br"'])
async def test_another_tag_applies_nothing(api: Api, form: str) -> None:
    import_id = await new_plan(api.setup.store.imports, await api.new_class())
    tag = (await tag_of(api, import_id))["If-Match"]
    other = {"If-Match": form.format(tag=tag if form.startswith("W") else tag[:-1])}
    reply = await api.send("POST", f"{IMPORTS}/{import_id}/apply", headers=other)
    reply.problem(412, "PRECONDITION_FAILED")
    fresh = {"If-Match": f'"a", {tag[:-1]}-gzip"'}
    assert (await api.send("POST", f"{IMPORTS}/{import_id}/apply", headers=fresh)).status == 202


async def test_what_is_applied_is_not_applied_again(api: Api) -> None:
    import_id = await new_plan(api.setup.store.imports, await api.new_class())
    assert (await apply(api, import_id)).status == 202
    (await apply(api, import_id)).problem(409, "IMPORT_CONFLICT")


async def test_what_has_moved_is_not_applied(api: Api) -> None:
    class_id = await api.new_class()
    import_id = await planned(api, into(class_id))
    await api.new_student("Cia", "Dal", class_ids=(class_id,))
    (await apply(api, import_id)).problem(412, "PRECONDITION_FAILED")
    assert await roster(api, class_id) == ["Cia Dal"]


async def test_only_what_is_applied_is_undone(api: Api) -> None:
    import_id = await new_plan(api.setup.store.imports, await api.new_class())
    (await api.send("POST", f"{IMPORTS}/{import_id}/undo")).problem(409, "IMPORT_CONFLICT")


async def test_nothing_is_undone_where_changes_are_not_remembered(
    backend: Stores, tmp_path: Path
) -> None:
    async with serving(Setup(backend, changes=False), tmp_path) as api:
        import_id = await new_plan(backend.imports, await api.new_class())
        await apply(api, import_id)
        (await api.send("POST", f"{IMPORTS}/{import_id}/undo")).problem(409, "IMPORT_CONFLICT")
        absent = await api.send("POST", f"{IMPORTS}/{new_id()}/undo")
        absent.problem(404, "IMPORT_NOT_FOUND")


# --- files as they come ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (ASA.encode(), "text/csv"),
        (ASA.encode("utf-8-sig"), "text/csv; charset=utf-8"),
        (ASA.encode("utf-16"), "text/csv"),
        (ASA.encode("utf-16-be"), "text/csv;charset=UTF-16BE;header=present"),
        (ASA.encode("cp1252"), 'TEXT/CSV; charset="windows-1252"'),
        (ASA.encode("cp1252"), "text/csv"),
        (ASA.replace(";", ",").encode(), "text/csv"),
        (ASA.replace(";", "\t").encode(), "text/csv"),
    ],
)
async def test_encodings_and_delimiters_give_the_same(
    memory_api: Api, data: bytes, media_type: str
) -> None:
    reply = await upload(memory_api, into(await memory_api.new_class()), data, media_type)
    assert reply.status == 201, reply.body
    [row] = await rows(memory_api, reply.json["id"])
    assert row["after"] == {
        "first_name": "Åsa",
        "last_name": "Öberg",
        "full_name": "Åsa Öberg",
        "email": "asa@skola.se",
        "external_id": "e1",
    }


async def test_a_compressed_file_is_unpacked(memory_api: Api) -> None:
    packed, headers = gzip.compress(ASA.encode()), {"Content-Encoding": "gzip"}
    path = into(await memory_api.new_class())
    assert (await upload(memory_api, path, packed, headers=headers)).status == 201


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (b"", CSV),
        (b"\0" * 1000, CSV),
        (b"Name\r\n" + b"\n" * 600_000, CSV),
        (b"a,b\r\n1,2\r\n", CSV),
        (ASA.encode("cp1252") + b"\x81", CSV),
        (ASA.encode(), "text/csv; charset=klingon"),
        (ASA.encode() + b'"never closed', CSV),
        (b"", ZIP),
        (b"PK\x03\x04" + b"\0" * 100, ZIP),
        (ASA.encode(), ZIP),
    ],
)
async def test_what_is_no_roster_is_refused(memory_api: Api, data: bytes, media_type: str) -> None:
    reply = await upload(memory_api, IMPORTS, data, media_type)
    if reply.status == 201:  # a fault of some line
        assert reply.json["summary"]["errors"]
        return
    assert reply.problem(400, "VALIDATION_ERROR")["detail"]
    assert (await memory_api.get(IMPORTS)).json["imports"] == []


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", "text/csvx", ""])
async def test_another_media_type_is_refused(memory_api: Api, media_type: str) -> None:
    for path in (IMPORTS, into(await memory_api.new_class())):
        headers = {"Content-Type": media_type} if media_type else {}
        reply = await memory_api.send("POST", path, data=ASA.encode(), headers=headers)
        assert CSV in reply.problem(415, "UNSUPPORTED_MEDIA_TYPE")["detail"]


async def test_a_zip_is_of_many_classes(memory_api: Api) -> None:
    reply = await upload(memory_api, into(await memory_api.new_class()), b"PK", ZIP)
    reply.problem(415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("is_packed", [False, True])
async def test_ten_mebibytes_are_the_most(memory_api: Api, *, is_packed: bool) -> None:
    path = into(await memory_api.new_class())
    for size, status in ((MAX_UPLOAD, 400), (MAX_UPLOAD + 1, 413)):
        data = b"x" * size
        sent = gzip.compress(data, 1) if is_packed else data
        headers = {"Content-Encoding": "gzip"} if is_packed else {}
        assert (await upload(memory_api, path, sent, headers=headers)).status == status


@pytest.mark.parametrize(
    "query",
    [
        "mode=all",
        "mode=add&mode=sync",
        "overwrite=1",
        "overwrite=",
        "course_code=SV9",
        "filename=%00",
    ],
)
async def test_a_parameter_that_cannot_be_used_is_named(memory_api: Api, query: str) -> None:
    reply = await upload(memory_api, f"{IMPORTS}?{query}", MANY)
    reply.problem(400, "VALIDATION_ERROR")
    assert reply.pointers == [f"/{query.partition('=')[0]}"]


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        ('attachment; filename="9A.csv"', "9A.csv"),
        ("attachment; filename=9A.csv", "9A.csv"),
        ("attachment; filename=x; filename*=UTF-8''%C3%85k%209.csv", "Åk 9.csv"),
        (r'attachment; filename="C:\\Users\\eva\\9A.csv"', "9A.csv"),
        ('form-data; name="f"; filename="/home/eva/9A.csv"', "9A.csv"),
        ("attachment; filename*=UTF-8''%0A%1B", None),
        (f'attachment; filename="{"x" * 256}"', None),
        ('attachment; filename=""', None),
        ("attachment", None),
        ("filename", None),
    ],
)
async def test_a_file_has_the_name_that_its_header_says(
    memory_api: Api, header: str, shown: str | None
) -> None:
    path, headers = into(await memory_api.new_class()), {"Content-Disposition": header}
    assert (await upload(memory_api, path, ASA, headers=headers)).json["filename"] == shown


# --- repeated, listed -----------------------------------------------------------------------------


async def test_a_repeated_upload_is_one_import(api: Api) -> None:
    path, key = into(await api.new_class()), {"Idempotency-Key": "one"}
    first = await upload(api, path, ASA, headers=key)
    again = await upload(api, path, ASA, headers=key)
    assert (again.status, again.body) == (201, first.body)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Location"] == first.headers["Location"]
    other = await upload(api, path, TWO, headers=key)
    other.problem(422, "IDEMPOTENCY_CONFLICT")
    assert len((await api.get(IMPORTS)).json["imports"]) == 1


async def test_a_refused_upload_leaves_its_key_free(api: Api) -> None:
    path, key = into(await api.new_class()), {"Idempotency-Key": "one"}
    assert (await upload(api, path, "", headers=key)).status == 400
    assert (await upload(api, path, ASA, headers=key)).status == 201


async def test_applying_and_undoing_may_be_repeated(api: Api) -> None:
    class_id = await api.new_class()
    import_id = await planned(api, into(class_id))
    headers = {**await tag_of(api, import_id), "Idempotency-Key": "apply"}
    path = f"{IMPORTS}/{import_id}"
    first = await api.send("POST", f"{path}/apply", headers=headers)
    await work(api)
    again = await api.send("POST", f"{path}/apply", headers=headers)
    assert (first.status, again.status, again.body) == (202, 202, first.body)
    undone = [
        await api.send("POST", f"{path}/undo", headers={"Idempotency-Key": "undo"})
        for _ in range(2)
    ]
    assert undone[0].json == undone[1].json
    assert len((await api.get(IMPORTS)).json["imports"]) == 2


async def paged(api: Api, path: str, member: str) -> list[Any]:
    """Return all of a list, page by page."""
    found: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        separator = "&" if "?" in path else "?"
        page = (await api.get(f"{path}{separator}limit=2&cursor={cursor}")).json
        found += page[member]
        assert page["pagination"]["returned"] == len(page[member]) <= 2
        cursor = page["pagination"]["next_cursor"]
    return found


async def test_imports_are_listed_newest_first(api: Api) -> None:
    class_id, imports = await api.new_class(), api.setup.store.imports
    made = [await new_plan(imports, class_id) for _ in range(5)]
    await new_plan(imports, await api.new_class(user=OTHER), OTHER)
    assert [one["id"] for one in await paged(api, IMPORTS, "imports")] == made[::-1]


async def test_rows_are_listed_in_their_order(api: Api) -> None:
    import_id = await new_plan(api.setup.store.imports, await api.new_class(), students=5)
    path = f"{IMPORTS}/{import_id}/rows"
    assert [one["line"] for one in await paged(api, path, "rows")] == [2, 3, 4, 5, 6]
    assert len(await paged(api, f"{path}?kind=created", "rows")) == 5
    assert await paged(api, f"{path}?kind=left", "rows") == []


async def test_a_cursor_of_another_list_is_refused(api: Api) -> None:
    class_id, imports = await api.new_class(), api.setup.store.imports
    one, other = [await new_plan(imports, class_id, students=3) for _ in range(2)]
    lists = [IMPORTS, f"{IMPORTS}/{one}/rows", f"{IMPORTS}/{other}/rows"]
    cursors = [
        (await api.get(f"{path}?limit=1")).json["pagination"]["next_cursor"] for path in lists
    ]
    for index, path in enumerate(lists):
        for given, cursor in enumerate([*cursors, "x", "AQ"]):
            reply = await api.get(f"{path}?limit=1&cursor={cursor}")
            assert reply.status == (200 if given == index else 400)
    unknown = await api.get(f"{IMPORTS}/{one}/rows?kind=gone")
    unknown.problem(400, "VALIDATION_ERROR")


async def test_answers_are_compressed_and_have_heads(api: Api) -> None:
    import_id = await new_plan(api.setup.store.imports, await api.new_class(), students=50)
    path = f"{IMPORTS}/{import_id}/rows"
    for read in (IMPORTS, f"{IMPORTS}/{import_id}", path):
        plain = await api.get(read)
        head = await api.send("HEAD", read)
        assert (head.status, head.body) == (200, b"")
        assert head.headers["Content-Length"] == str(len(plain.body))
    plain = await api.get(path)
    packed = await api.get(path, headers={"Accept-Encoding": "gzip"})
    assert (packed.headers["Content-Encoding"], packed.body) == ("gzip", plain.body)

"""Rosters as files: what is in them, who gets which form, and that they import again unchanged."""

import csv
import io
import zipfile
from pathlib import Path
from typing import Final

import pytest

from rules.models import Policy
from tests.integration.web.api import OTHER, SERVICE, Api, Setup, serving
from tests.integration.web.importing import IMPORTS, apply, upload
from tests.support.stores import memory_stores
from web.uploads import CSV, ZIP
from web.views import exports

CLASSES: Final = "/v1/classes"
EXPORT: Final = "/v1/export"


def as_csv(accept: str = CSV) -> dict[str, str]:
    return {"Accept": accept}


def lines(body: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"))))


async def two_classes(api: Api) -> tuple[str, str]:
    """Make classes with students as they come: of one name, with formulas, in both, in none."""
    first, second = await api.new_class('9A "bäst", ja'), await api.new_class("=1+1")
    await api.new_student("=cmd|' /C calc'!A0", "@Öberg", "asa@skola.se", class_ids=(first,))
    await api.new_student("Ωmega", "", class_ids=(first, second))
    await api.new_student("'-Bo", "Ek\u202f2", "-bo@skola.se", class_ids=(second,))
    await api.new_student("Ingen", "Klass")
    return first, second


async def test_a_roster_is_a_file_for_who_prefers_it(api: Api) -> None:
    class_id, _ = await two_classes(api)
    path = f"{CLASSES}/{class_id}/roster"
    plain, file = await api.get(path), await api.get(path, headers=as_csv())
    assert plain.headers["Content-Type"] == "application/json"
    assert file.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert file.headers["Content-Disposition"] == 'attachment; filename="roster.csv"'
    assert plain.headers["Vary"] == file.headers["Vary"] == "Accept"
    assert plain.headers["ETag"] != file.headers["ETag"]
    assert len(lines(file.body)) == len(plain.json["students"]) == 2


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/html, */*;q=0.1", "application/json"),
        ("application/*", "application/json"),
        ("text/*", CSV),
        ("TEXT/CSV", CSV),
        ("text/csv;q=0.5, application/json;q=0.4", CSV),
        ("text/csv;q=0.4, application/json;q=0.5", "application/json"),
        ("text/csv;header=present", CSV),
        ("application/json;q=0, text/csv;q=0.001", CSV),
        ("*/*, text/csv;q=0", "application/json"),
        ("*/*, application/json;q=0", CSV),
        (",,;q=, x", None),
        ("image/png", None),
        ("text/csv;q=0", None),
        ("application/json;q=0, text/csv;q=0.0", None),
    ],
)
async def test_the_form_is_that_which_is_preferred(
    memory_api: Api, accept: str, media_type: str | None
) -> None:
    path = f"{CLASSES}/{await memory_api.new_class()}/roster"
    reply = await memory_api.get(path, headers=as_csv(accept))
    if media_type is None:
        assert CSV in reply.problem(406, "NOT_ACCEPTABLE")["detail"]
    else:
        assert reply.headers["Content-Type"].partition(";")[0] == media_type


async def test_a_service_gets_the_file_of_any_class(api: Api) -> None:
    class_id, _ = await two_classes(api)
    path = f"{CLASSES}/{class_id}/roster"
    own = await api.get(path, headers=as_csv())
    reply = await api.send("GET", path, user=None, headers={**SERVICE, **as_csv()})
    assert (reply.status, reply.body) == (200, own.body)
    assert (await api.get(path, user=OTHER, headers=as_csv())).status == 404


@pytest.mark.parametrize(("form", "media_type"), [("csv", CSV), ("oneroster", ZIP)])
async def test_an_export_imports_again_unchanged(api: Api, form: str, media_type: str) -> None:
    await two_classes(api)
    file = await api.get(f"{EXPORT}?format={form}")
    assert (file.status, file.headers["Content-Type"].partition(";")[0]) == (200, media_type)
    for mode in ("add", "sync"):
        reply = await upload(api, f"{IMPORTS}?mode={mode}", file.body, media_type)
        assert reply.status == 201, reply.body
        changed = {name: n for name, n in reply.json["summary"].items() if n}
        assert changed.keys() == {"unchanged"}


async def test_an_export_of_one_teacher_is_a_roster_of_another(api: Api) -> None:
    await two_classes(api)
    file = await api.get(EXPORT)
    made = await upload(api, IMPORTS, file.body, user=OTHER)
    assert (made.json["summary"]["created"], made.json["summary"]["classes_created"]) == (3, 2)


async def test_a_class_imports_its_own_file_unchanged(api: Api) -> None:
    class_id, _ = await two_classes(api)
    path = f"{CLASSES}/{class_id}/roster"
    file = await api.get(path, headers=as_csv())
    reply = await upload(api, f"{path}/import?mode=sync", file.body)
    assert {name for name, n in reply.json["summary"].items() if n} == {"unchanged"}


async def test_what_a_spreadsheet_would_run_is_made_harmless(api: Api) -> None:
    await two_classes(api)
    cells = [cell for line in lines((await api.get(EXPORT)).body) for cell in line.values()]
    assert len(cells) > 20
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t"))] == []


async def test_only_ones_own_are_exported(api: Api) -> None:
    await two_classes(api)
    await api.new_class("9Z", user=OTHER)
    [line] = lines((await api.get(EXPORT, user=OTHER)).body)
    assert "9Z" in line.values()
    assert lines((await api.get(EXPORT, user="somebody else")).body) == []


@pytest.mark.parametrize(
    ("query", "accept", "name"),
    [
        ("", "", "classes.csv"),
        ("", "*/*", "classes.csv"),
        ("", ZIP, "oneroster.zip"),
        ("?format=csv", ZIP, "classes.csv"),
        ("?format=oneroster", "", "oneroster.zip"),
    ],
)
async def test_the_query_or_the_header_says_the_form(
    memory_api: Api, query: str, accept: str, name: str
) -> None:
    reply = await memory_api.get(f"{EXPORT}{query}", headers=as_csv(accept) if accept else {})
    assert name in reply.headers["Content-Disposition"]
    assert ("Accept" in reply.headers.get("Vary", "")) == (not query)


async def test_forms_that_are_not_there(memory_api: Api) -> None:
    (await memory_api.get(EXPORT, headers=as_csv("image/png"))).problem(406, "NOT_ACCEPTABLE")
    unknown = await memory_api.get(f"{EXPORT}?format=xlsx")
    unknown.problem(400, "VALIDATION_ERROR")
    assert unknown.pointers == ["/format"]


async def test_files_have_heads_and_tags_and_csv_is_compressed(api: Api) -> None:
    class_id = await api.new_class()
    for number in range(40):
        await api.new_student(f"Elev{number}", "Ek", class_ids=(class_id,))
    for path, is_packed in ((f"{EXPORT}?format=csv", True), (f"{EXPORT}?format=oneroster", False)):
        plain = await api.get(path)
        head = await api.send("HEAD", path)
        assert (head.status, head.body) == (200, b"")
        assert head.headers["Content-Length"] == str(len(plain.body))
        known = await api.get(path, headers={"If-None-Match": plain.headers["ETag"]})
        assert known.status == 304
        packed = await api.get(path, headers={"Accept-Encoding": "gzip"})
        assert ("Content-Encoding" in packed.headers) == is_packed
        assert packed.body == plain.body
    packed = await api.get(f"{EXPORT}?format=oneroster")
    names = zipfile.ZipFile(io.BytesIO(packed.body)).namelist()
    assert {"manifest.csv", "users.csv", "enrollments.csv"} <= set(names)


async def test_large_ones_are_written_elsewhere_and_too_large_ones_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with memory_stores(Policy()) as stores, serving(Setup(stores), tmp_path) as api:
        await two_classes(api)
        here = await api.get(EXPORT)
        before = api.setup.planner.process_id
        monkeypatch.setattr(exports, "MOST_IN_THREAD", 3)
        there = await api.get(EXPORT)
        assert before is None
        assert api.setup.planner.process_id is not None
        assert there.body == here.body
        monkeypatch.setattr(exports, "MAX_ROWS", 3)
        (await api.get(EXPORT)).problem(400, "VALIDATION_ERROR")


async def test_an_export_moves_a_school_to_another_teacher_and_back(api: Api) -> None:
    await two_classes(api)
    file = await api.get(f"{EXPORT}?format=oneroster")
    made = await upload(api, IMPORTS, file.body, ZIP)
    assert (await apply(api, made.json["id"])).status == 202
    assert (await api.get(f"{EXPORT}?format=oneroster")).body == file.body

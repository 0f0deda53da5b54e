"""`class-management rosters`: files in and out of the database, without a worker."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

import pytest

from devstack.stack import PREFIX
from rules.ids import new_id
from rules.models import Caller, Policy, Trace
from store.protocols.imports import ImportQuery
from tests.integration.store.builders import Stores, make_class, new_class
from tests.support.command_line import Done, call, nowhere
from tests.support.stores import postgres_stores

OK, NO, TROUBLE = 0, 1, 2
USER: Final = "lärare-7"
HEAD: Final = "Förnamn;Efternamn;E-post\r\n"
PEOPLE: Final = f"{HEAD}Qzyzxq;Öberg;qzyzxq@skola.example\r\nBo;Ek;\r\n"


@dataclass(frozen=True)
class Desk:
    """A teacher's database, and the command line beside it."""

    stores: Stores
    database: str
    folder: Path

    async def rosters(self, *arguments: str, user: str = USER, stdin: bytes = b"") -> Done:
        environ = {PREFIX + "DATABASE_URL": self.database}
        return await call("rosters", *arguments, "--user", user, environ=environ, stdin=stdin)

    def file(self, text: str | bytes, name: str = "9A.csv") -> str:
        path = self.folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)

    async def new_class(self, name: str = "9A") -> UUID:
        teacher = Caller(USER, Trace(new_id(), None))
        return (await make_class(self.stores, teacher, new_class(name))).id

    async def names(self, class_id: UUID) -> list[str]:
        state = await self.stores.imports.roster_state(USER, class_id)
        found = [state.students[one].name for one in state.classes[class_id].member_ids]
        return sorted(f"{one.first_name} {one.last_name}" for one in found)


@pytest.fixture
async def desk(migrated_database: str, tmp_path: Path) -> AsyncIterator[Desk]:
    async with postgres_stores(migrated_database, Policy()) as stores:
        yield Desk(stores, migrated_database, tmp_path)


async def test_a_file_is_imported_shown_and_taken_back(desk: Desk) -> None:
    class_id = await desk.new_class()
    into = ("--class", str(class_id))
    tried = await desk.rosters("import", desk.file(PEOPLE), *into, "--dry-run")
    assert (tried.code, tried.err) == (OK, "")
    assert "2 students are new" in tried.out
    assert await desk.names(class_id) == []
    done = await desk.rosters("import", desk.file(PEOPLE), *into, "--yes")
    assert done.code == OK, done.err
    assert await desk.names(class_id) == ["Bo Ek", "Qzyzxq Öberg"]
    import_id = done.out.splitlines()[-1].split()[1].rstrip(":")
    shown = await desk.rosters("show", import_id)
    assert (shown.code, shown.out.splitlines()[0]) == (OK, f"import {import_id}: applied")
    undone = await desk.rosters("undo", import_id, "--yes", "--force")
    assert undone.code == OK, undone.err
    assert await desk.names(class_id) == []
    for one in (tried, done, shown, undone):
        assert "qzyzxq" not in (one.out + one.err).lower()


async def test_the_same_file_again_changes_nothing(desk: Desk) -> None:
    class_id = await desk.new_class()
    into = ("--class", str(class_id), "--yes")
    await desk.rosters("import", desk.file(PEOPLE), *into)
    again = await desk.rosters("import", "-", *into, stdin=PEOPLE.encode("cp1252"))
    assert (again.code, again.out.splitlines()[-1]) == (OK, "There is nothing to change.")
    assert len((await desk.stores.imports.list_imports(USER, ImportQuery(10))).imports) == 1


async def test_an_export_is_imported_unchanged(desk: Desk) -> None:
    class_id = await desk.new_class("9A;=1+1")
    await desk.rosters("import", desk.file(PEOPLE), "--class", str(class_id), "--yes")
    for form, one in (("csv", ()), ("oneroster", ()), ("csv", ("--class", str(class_id)))):
        path = desk.folder / f"out.{form}"
        written = await desk.rosters("export", "--format", form, "-o", str(path), *one)
        assert (written.code, written.out) == (OK, ""), written.err
        assert path.stat().st_mode & 0o077 == 0
        back = await desk.rosters("import", str(path), "--mode", "sync", "--yes", *one)
        assert (back.code, back.out.splitlines()[-1]) == (OK, "There is nothing to change.")
    out = await desk.rosters("export", "-o", "-")
    assert "Qzyzxq" in out.out


async def test_errors_and_large_changes_have_to_be_meant(desk: Desk) -> None:
    class_id = await desk.new_class()
    many = HEAD + "".join(f"Bo;Ek{number};\r\n" for number in range(12))
    into = ("--class", str(class_id), "--yes")
    assert (await desk.rosters("import", desk.file(many), *into)).code == OK
    few = desk.file(f"{HEAD}Bo;Ek1;\r\nBo;Ek2;qzyzxq no address\r\n")
    cut = desk.file(HEAD + "Bo;Ek1;\r\nBo;Ek2;\r\n", "cut.csv")
    refused = await desk.rosters("import", cut, *into, "--mode", "sync")
    assert (refused.code, "--force" in refused.err) == (NO, True)
    wrong = await desk.rosters("import", few, *into)
    assert (wrong.code, "line 3" in wrong.out, "--skip-errors" in wrong.err) == (NO, True, True)
    assert "qzyzxq" not in wrong.out + wrong.err
    assert len(await desk.names(class_id)) == 12
    meant = await desk.rosters("import", cut, *into, "--mode", "sync", "--force")
    assert meant.code == OK
    assert await desk.names(class_id) == ["Bo Ek1", "Bo Ek2"]


async def test_many_classes_are_made_and_named_by_the_file(desk: Desk) -> None:
    text = "Klass;Förnamn;Efternamn\r\n9A;Bo;Ek\r\n9B;Vera;Ek\r\n"
    done = await desk.rosters("import", desk.file(text), "--course", "SV1", "--yes", "--json")
    assert done.code == OK, done.err
    plan, record = done.lines
    assert plan["summary"]["classes_created"] == 2
    assert (record["state"], record["left_out"]) == ("applied", [])
    classes = (await desk.stores.imports.roster_state(USER, None)).classes.values()
    assert sorted(one.name for one in classes) == ["9A", "9B"]


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        (("import", "-", "--yes"), b"", "file"),
        (("import", "-", "--yes"), b"PK\x03\x04 no zip", "zip"),
        (("import", "-", "--yes", "--course", "XX"), b"x", "XX"),
        (("import", "-"), b"class,first name,last name,course\n9A,Bo,Ek,SV1\n", "--yes"),
        (("import", "-", "--class", str(UUID(int=7)), "--yes"), PEOPLE.encode(), "class"),
        (("import", "-", "--yes"), b"x" * (10 * 1024**2 + 1), "10 MiB"),
        (("show", str(UUID(int=7))), b"", "import"),
        (("undo", str(UUID(int=7))), b"", "import"),
        (("export", "-o", "/nowhere/out.csv"), b"", "/nowhere/out.csv"),
    ],
)
async def test_trouble_is_one_line(
    desk: Desk, arguments: tuple[str, ...], stdin: bytes, said: str
) -> None:
    done = await desk.rosters(*arguments, stdin=stdin)
    assert done.code == TROUBLE
    line = done.err.splitlines()[-1]
    assert line.startswith("class-management: ")
    assert said in line


async def test_anothers_rosters_are_not_there(desk: Desk) -> None:
    class_id = await desk.new_class()
    done = await desk.rosters("import", desk.file(PEOPLE), "--class", str(class_id), "--yes")
    import_id = done.out.splitlines()[-1].split()[1].rstrip(":")
    for arguments in (
        ("import", desk.file(PEOPLE), "--class", str(class_id), "--yes"),
        ("show", import_id),
        ("undo", import_id, "--yes"),
        ("export", "--class", str(class_id), "-o", str(desk.folder / "out")),
    ):
        assert (await desk.rosters(*arguments, user="lärare-8")).code == TROUBLE
    assert (await desk.rosters("show", import_id, user=" ")).code == TROUBLE
    assert not (desk.folder / "out").exists()


async def test_a_database_that_is_not_there_is_trouble(tmp_path: Path) -> None:
    path = tmp_path / "9A.csv"
    path.write_text(PEOPLE, encoding="utf-8")
    environ = {PREFIX + "DATABASE_URL": f"postgresql://{nowhere()}/x"}
    done = await call("rosters", "import", str(path), "--user", "x", environ=environ)
    assert (done.code, len(done.err.splitlines())) == (TROUBLE, 1)

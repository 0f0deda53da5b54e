"""Finding students: what every store promises."""

import asyncio
import re
import unicodedata
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devstack.rig.database import connected
from rules.changes import NewStudentRequest
from rules.models import PersonName, StudentChange, StudentRecord
from rules.search import LONGEST_TRANSACTION, Position, StudentQuery
from tests.integration.store.builders import (
    SOON,
    Stores,
    caller,
    make_class,
    make_student,
    new_student,
    person,
)
from tests.support.commands import TEACHER


async def find(stores: Stores, owner: str = TEACHER, **given: Any) -> list[str]:  # noqa: ANN401
    """Return the first names of those found."""
    page = await stores.classes.find_students(owner, StudentQuery(given.pop("limit", 100), **given))
    return [student.name.first_name for student in page.students]


async def test_all_own_students_are_listed_also_those_without_a_class(stores: Stores) -> None:
    cls = await make_class(stores, caller())
    loose = await make_student(stores, caller(), new_student("Loose", "B"))
    member = await make_student(stores, caller(), new_student("Member", "A", class_ids=[cls.id]))
    await make_student(stores, caller("other"), new_student("Theirs", "A"))
    page = await stores.classes.find_students(TEACHER, StudentQuery(20))
    assert (page.students, page.next) == ((member, loose), None)
    assert await find(stores, "nobody") == []


async def test_the_order_is_by_last_name_first_name_and_id_in_code_points(stores: Stores) -> None:
    names = [
        ("A", "Zorn"),
        ("B", "Zorn"),
        ("b", "Zorn"),
        ("A", "Ångström"),
        ("A", "ångström"),
        ("A", "zorn"),
        ("A", "Z orn"),
        ("A", "\uffee"),
        ("A", "\U0001f600"),
    ]
    wanted = [new_student(first, last) for first, last in names]
    wanted += [new_student("A", "Zorn", student_id=UUID(int=n)) for n in (3, 1, 2)]
    await stores.classes.create_students([NewStudentRequest(caller(), one) for one in wanted])
    page = await stores.classes.find_students(TEACHER, StudentQuery(100))
    expected = sorted((one.name.last_name, one.name.first_name, one.id) for one in wanted)
    assert [(s.name.last_name, s.name.first_name, s.id) for s in page.students] == expected


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ("åsa", ["Åsa"]),
        ("ÅSA", ["Åsa"]),
        ("A\u030asa", ["Åsa"]),
        ("sa öb", ["Åsa"]),
        ("Maria", ["Åsa"]),
        ("SKOLA.example", ["Åsa", "Bo"]),
        ("bo_", ["Bo"]),
        ("%", ["Per%"]),
        ("\\", ["Back\\slash"]),
        (".", ["Åsa", "Bo"]),
        ("*", []),
        ("(a|b)[", ["Per%"]),
        ("***:", []),
        ("ΓΙΏΡΓ", ["Γιώργος"]),
        ("ИВАН", ["иван"]),
        ("\U00010428", ["\U00010400"]),
        ("nobody", []),
        ("Åsa Maria Öberg", ["Åsa"]),
    ],
)
async def test_a_part_of_a_name_or_an_address_is_found_in_any_case(
    stores: Stores, part: str, found: list[str]
) -> None:
    asa = replace(
        new_student(email="Asa@Skola.example"),
        name=PersonName("Åsa", "Öberg", "Åsa Maria Öberg"),
    )
    others = [
        new_student("Bo", "Ek", "bo_ek@skola.example"),
        new_student("Per%", "(A|b)[c]"),
        new_student("Back\\slash", "X"),
        new_student("Γιώργος", "Παππάς"),
        new_student("иван", "Иванов"),
        new_student("\U00010400", "Deseret"),
    ]
    for one in (asa, *others):
        await make_student(stores, caller(), one)
    assert sorted(await find(stores, part=part)) == sorted(found)


@settings(max_examples=60, deadline=None)
@given(part=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20))
def test_any_part_is_found_by_both_stores_alike(migrated_database: str, part: str) -> None:
    """Whatever is looked for is an expression that PostgreSQL reads, and means the same to it."""
    pattern = StudentQuery(1, part=part).pattern
    assert pattern is not None
    texts = [part, part.upper(), part.lower(), f"x{part}y", part[1:], "Åsa Öberg"]
    texts = [unicodedata.normalize("NFC", text) for text in texts]

    async def ask() -> list[bool]:
        async with connected(migrated_database) as connection:
            asked = 'select array_agg(t collate "C" ~ $2) from unnest($1::text[]) as t'
            found: list[bool] = await connection.fetchval(asked, texts, pattern)
        return found

    expected = [re.search(pattern, text) is not None for text in texts]
    assert asyncio.run(ask()) == expected
    assert expected[0]


async def test_an_address_is_found_by_what_addresses_are_compared_by(stores: Stores) -> None:
    await make_student(stores, caller(), new_student("Mine", email="Asa@b.example"))
    await make_student(stores, caller("other"), new_student("Theirs", email="asa@b.example"))
    assert await find(stores, email="ASA@B.example") == ["Mine"]
    for email in ("sa@b.example", "asa_b.example", "no address"):
        assert await find(stores, email=email) == []


async def test_a_class_has_its_students_and_anothers_has_none(stores: Stores) -> None:
    mine = await make_class(stores, caller())
    theirs = await make_class(stores, caller("other"))
    await make_student(stores, caller(), new_student("Mine", class_ids=[mine.id]))
    await make_student(stores, caller(), new_student("Loose"))
    await make_student(stores, caller("other"), new_student("Theirs", class_ids=[theirs.id]))
    assert await find(stores, class_id=mine.id) == ["Mine"]
    assert await find(stores, class_id=theirs.id) == []
    assert await find(stores, class_id=mine.id, part="loose") == []


async def listed(stores: Stores, after: Position | None) -> list[StudentRecord]:
    """Return all students after a position, in pages of two."""
    found: list[StudentRecord] = []
    while True:
        page = await stores.classes.find_students(TEACHER, StudentQuery(2, after))
        assert len(page.students) == 2 or page.next is None
        found += page.students
        after = page.next
        if after is None:
            return found


async def test_pages_neither_repeat_nor_leave_out(stores: Stores) -> None:
    made = [await make_student(stores, caller(), new_student("A", f"L{n}")) for n in range(5)]
    assert await listed(stores, None) == made


@pytest.mark.parametrize("what", ["deleted", "renamed to the end", "renamed to the front"])
async def test_the_last_of_a_page_may_go_before_the_next_is_read(stores: Stores, what: str) -> None:
    made = [await make_student(stores, caller(), new_student("A", f"L{n}")) for n in range(6)]
    await stores.elapse(SOON)
    page = await stores.classes.find_students(TEACHER, StudentQuery(2))
    boundary = page.students[-1]
    assert boundary.id == made[1].id
    if what == "deleted":
        await stores.classes.delete_student(caller(), boundary.id)
    else:
        await rename(stores, boundary, "Z" if what == "renamed to the end" else "A")
    await make_student(stores, caller(), new_student("before", "L0"))
    later = await make_student(stores, caller(), new_student("later", "L3x"))
    rest = [one.id for one in await listed(stores, page.next)]
    expected = [made[2].id, made[3].id, later.id, made[4].id, made[5].id]
    # Who moves comes once more, wherever it went.
    assert rest == expected + [boundary.id] * (what != "deleted")


async def test_who_moves_to_where_the_list_has_been_comes_all_the_same(stores: Stores) -> None:
    made = [await make_student(stores, caller(), new_student("A", f"L{n}")) for n in range(7)]
    await stores.elapse(SOON)
    page = await stores.classes.find_students(TEACHER, StudentQuery(2))
    for student in made[3:6]:
        await rename(stores, student, "A")
    await make_student(stores, caller(), new_student("new", "A"))
    rest = [one.id for one in await listed(stores, page.next)]
    assert rest == [made[2].id, made[6].id, *sorted(one.id for one in made[3:6])]


async def test_who_was_changed_long_before_the_first_page_comes_once(stores: Stores) -> None:
    made = [await make_student(stores, caller(), new_student("A", f"L{n}")) for n in range(5)]
    await rename(stores, made[4], "L9")
    await stores.elapse(LONGEST_TRANSACTION + SOON)
    assert [one.id for one in await listed(stores, None)] == [one.id for one in made]


async def rename(stores: Stores, student: StudentRecord, last_name: str) -> None:
    change = StudentChange(name=person("A", last_name))
    await stores.classes.update_student(caller(), student.id, change)

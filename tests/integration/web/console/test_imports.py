"""A file on a page: what it would do comes first, then that is done, and can be taken back."""

import re
from html import unescape
from urllib.parse import urlsplit

import pytest

from tests.integration.web.api import OTHER, Reply
from tests.integration.web.console.pages import Visitor, filled, text_of
from tests.integration.web.console.people import send_file

CLASSES = "/console/classes"
IMPORTS = "/console/imports"
HEAD = "Förnamn;Efternamn;E-post;Klass\r\n"
CHER = "Förnamn;Efternamn\r\nCher;\r\n"


async def roster(teacher: Visitor, class_id: str) -> list[str]:
    reply = await teacher.api.get(f"/v1/classes/{class_id}/roster", user=teacher.user)
    return [f"{one['first_name']} {one['last_name']}" for one in reply.json["students"]]


async def upload(
    teacher: Visitor, path: str, content: bytes | str, name: str = "9A.csv", **typed: str
) -> Reply:
    """Send the form of a page with a file, as browsers do."""
    fields = filled(await teacher.shown(path), path, **typed)
    sent = {**{key: str(value) for key, value in fields.items()}, "file": content}
    return await send_file(teacher.api, path, sent, user=teacher.user, name=name)


async def planned(
    teacher: Visitor, path: str, content: bytes | str, name: str = "9A.csv", **typed: str
) -> str:
    """Bring a file; return the address of its plan."""
    reply = await upload(teacher, path, content, name, **typed)
    assert reply.status == 303, text_of(reply)
    return urlsplit(reply.headers["Location"]).path


async def applied(teacher: Visitor, plan: str, **typed: str) -> str:
    """Apply a plan, do the workers' part, and return the page."""
    reply = await teacher.send(plan, f"{plan}/apply", **typed)
    assert reply.status == 303, text_of(reply)
    assert 'hx-trigger="every 2s,' in await teacher.shown(plan)
    while await teacher.api.setup.store.imports.apply_next():
        pass
    return await teacher.shown(plan)


def into(class_id: str) -> str:
    return f"{CLASSES}/{class_id}/import"


async def test_a_file_is_looked_at_applied_and_taken_back(teacher: Visitor) -> None:
    class_id = await teacher.api.new_class()
    await teacher.api.new_student("Vera", "Ek", "vera@x.example", class_ids=(class_id,))
    text = "\ufeffFörnamn;Efternamn;E-post\r\nBo;Ek;bo@x.example\r\nVera;Ekh;vera@x.example\r\n"
    plan = await planned(teacher, into(class_id), text.encode())
    page = await teacher.shown(plan)
    assert await roster(teacher, class_id) == ["Vera Ek"]
    assert "9A.csv" in page
    assert "1 student is new" in page
    assert '<del><bdi class="name">Ek</bdi></del>' in page
    assert "bo@x.example" in page
    assert "Bo" not in plan
    done = await applied(teacher, plan)
    assert "Applied. This is what was done:" in done
    assert await roster(teacher, class_id) == ["Bo Ek", "Vera Ekh"]
    taken = await teacher.send(plan, f"{plan}/undo")
    back = urlsplit(taken.headers["Location"]).path
    assert back != plan
    assert "Undoing an import" in await teacher.shown(back)
    assert await roster(teacher, class_id) == ["Bo Ek", "Vera Ekh"]
    await applied(teacher, back)
    assert await roster(teacher, class_id) == ["Vera Ek"]
    page = await teacher.shown(plan)
    assert "Taken back." in page
    assert f'href="{back}"' in page
    assert f'action="{plan}/undo"' not in page


async def test_a_plan_is_applied_once_however_often_it_is_sent(teacher: Visitor) -> None:
    class_id = await teacher.api.new_class()
    plan = await planned(teacher, into(class_id), CHER)
    form = await teacher.fields(plan, f"{plan}/apply")
    first, again = [await teacher.post(f"{plan}/apply", form) for _ in range(2)]
    assert (first.status, again.status) == (303, 409)
    assert "Nothing more was done" in text_of(again)
    while await teacher.api.setup.store.imports.apply_next():
        pass
    assert (await teacher.post(f"{plan}/apply", form)).status == 409
    assert await roster(teacher, class_id) == ["Cher "]


async def test_many_classes_come_from_one_file(teacher: Visitor) -> None:
    text = f"{HEAD}Bo;Ek;;9A\r\nVera;Ek;;9B\r\n"
    plan = await planned(teacher, IMPORTS, text, "skola.csv", course="SV1")
    page = await teacher.shown(plan)
    assert "2 classes are new" in page
    assert page.count('<bdi class="name">9A</bdi>') >= 2  # of the class, and of its student
    await applied(teacher, plan)
    listed = (await teacher.api.get("/v1/classes")).json["classes"]
    assert sorted(one["name"] for one in listed) == ["9A", "9B"]
    assert "skola.csv" in await teacher.shown(IMPORTS)


async def test_errors_say_where_and_why_and_leave_classes_out_if_that_is_said(
    teacher: Visitor,
) -> None:
    text = f"{HEAD}Bo;Ek;;9A\r\nVera;Ek;no address;9B\r\n"
    plan = await planned(teacher, IMPORTS, text, course="SV1")
    page = await teacher.shown(plan)
    assert "1 error" in page
    assert "no address" not in page
    refused = await teacher.send(plan, f"{plan}/apply")
    assert refused.status == 400
    assert "say below that the classes with errors are left out" in text_of(refused)
    await applied(teacher, plan, skip_errors="1")
    listed = (await teacher.api.get("/v1/classes")).json["classes"]
    assert [one["name"] for one in listed] == ["9A"]


async def test_a_large_change_is_made_only_if_it_is_meant(teacher: Visitor) -> None:
    class_id = await teacher.api.new_class()
    for number in range(12):
        await teacher.api.new_student("Bo", f"Ek{number}", class_ids=(class_id,))
    text = "Förnamn;Efternamn\r\n" + "".join(f"Bo;Ek{number}\r\n" for number in range(6))
    plan = await planned(teacher, into(class_id), text, mode="sync")
    assert "This is a large change" in await teacher.shown(plan)
    refused = await teacher.send(plan, f"{plan}/apply")
    assert (refused.status, len(await roster(teacher, class_id))) == (409, 12)
    await applied(teacher, plan, force="1")
    assert len(await roster(teacher, class_id)) == 6


async def test_what_has_moved_since_is_not_applied(teacher: Visitor) -> None:
    class_id = await teacher.api.new_class()
    plan = await planned(teacher, into(class_id), "Förnamn;Efternamn\r\nBo;Ek\r\n")
    await teacher.api.new_student("Vera", "Ek", class_ids=(class_id,))
    refused = await teacher.send(plan, f"{plan}/apply")
    assert refused.status == 412
    assert "somebody changed meanwhile what this plan rests on" in text_of(refused)
    assert f'href="{into(class_id)}"' in text_of(refused)


async def test_a_class_that_moves_while_it_is_applied_is_left_out_and_said(
    teacher: Visitor,
) -> None:
    plan = await planned(teacher, IMPORTS, f"{HEAD}Bo;Ek;;9A\r\nVera;Ek;;9B\r\n", course="SV1")
    await applied(teacher, plan)
    text = f"{HEAD}Bo;Ek;bo@x.example;9A\r\nVera;Ek;vera@x.example;9B\r\n"
    plan = await planned(teacher, IMPORTS, text)
    assert (await teacher.send(plan, f"{plan}/apply")).status == 303
    classes = (await teacher.api.get("/v1/classes")).json["classes"]
    [moved] = [one["id"] for one in classes if one["name"] == "9B"]
    await teacher.api.new_student("Cher", "", class_ids=(moved,))
    while await teacher.api.setup.store.imports.apply_next():
        pass
    page = await teacher.shown(plan)
    assert "1 class was left out" in page
    assert f"{CLASSES}/{moved}" in page
    assert "was left out" in await teacher.shown(f"{plan}?kind=updated")


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"", "empty.csv"),
        (b"Tal;Datum\r\n1;2\r\n", "numbers.csv"),
        (b"PK\x03\x04 no zip", "school.zip"),
        ("Förnamn\r\nÅsa\x81\r\n".encode("cp1252", "ignore") + b"\x81", "bytes.csv"),
        (b"\x00\x01\x02" * 100, "picture.png"),
    ],
)
async def test_a_file_that_is_no_roster_is_refused_beside_its_field(
    teacher: Visitor, content: bytes, name: str
) -> None:
    class_id = await teacher.api.new_class()
    for path in (into(class_id), IMPORTS):
        reply = await upload(teacher, path, content, name, mode="sync")
        page = text_of(reply)
        assert reply.status == 400, name
        assert 'id="file-fault"' in page
        # What was chosen beside it is kept.
        assert 'value="sync" checked' in page
    assert (await teacher.api.get("/v1/imports")).json["imports"] == []


async def test_an_error_says_what_is_missing_and_where_as_people_say_it(teacher: Visitor) -> None:
    file = (
        b"email,class,course,first name,last name\r\n"
        b"x@skola.se,7A,SV1,,\r\ny@skola.se,7B,History,Bo,Ek\r\n"
    )
    page = await teacher.shown(await planned(teacher, IMPORTS, file))
    faults = re.findall('<p class="fault"><bdi class="name">(.*?)</bdi>: <span>(.*?)</span>', page)
    assert ("Name", "There is no such student, and a new one needs a name.") in faults
    assert "There is no such course. Write its code or its name" in str(faults)


async def test_no_file_at_all_is_said(teacher: Visitor) -> None:
    for sent in (await upload(teacher, IMPORTS, b"", ""), await teacher.send(IMPORTS)):
        assert sent.status == 400
        assert "Choose a file." in text_of(sent)


async def test_a_file_that_is_too_large_is_said_on_a_page(teacher: Visitor) -> None:
    class_id = await teacher.api.new_class()
    reply = await upload(teacher, into(class_id), b"x" * (10 * 1024**2 + 128 * 1024))
    assert reply.status == 413
    assert "It may have 10 MiB" in text_of(reply)


async def test_what_a_field_cannot_have_is_refused(teacher: Visitor) -> None:
    class_id = await teacher.api.new_class()
    for typed in ({"mode": "replace"}, {"course": "XX9"}):
        reply = await upload(teacher, into(class_id), "Förnamn;Efternamn\r\nBo;\r\n", **typed)
        assert reply.status == 400
    plan = await planned(teacher, into(class_id), "Förnamn;Efternamn\r\nBo;\r\n")
    for query in ("?kind=x", "?cursor=x", "?kind=created&kind=left"):
        assert (await teacher.get(plan + query)).status == 400


async def test_rows_come_page_by_page_and_by_kind(teacher: Visitor) -> None:
    class_id = await teacher.api.new_class()
    await teacher.api.new_student("Cher", "", "cher@x.example", class_ids=(class_id,))
    lines = "".join(f"Bo{number};;bo{number}@x.example\r\n" for number in range(120))
    text = f"Förnamn;Efternamn;E-post\r\n{lines}Cher;;cher@x.example\r\n"
    plan = await planned(teacher, into(class_id), text)
    found, address = [], f"{plan}?kind=created"
    while address:
        page = await teacher.shown(address)
        found += re.findall(r'<bdi class="name">(Bo\d+)</bdi>', page)
        more = re.search(r'href="([^"]*cursor=[^"#]*)', page)
        address = unescape(more[1]) if more else ""
    assert found == [f"Bo{number}" for number in range(120)]
    unchanged = await teacher.shown(f"{plan}?kind=unchanged")
    assert '<bdi class="name">Cher</bdi>' in unchanged
    assert ">Bo" not in unchanged


async def test_names_are_no_markup(teacher: Visitor) -> None:
    class_id = await teacher.api.new_class("<b>9A</b>")
    text = "Förnamn;Efternamn\r\n<script>alert(1)</script>;<i>Ek</i>\r\n"
    plan = await planned(teacher, into(class_id), text, "<img src=x>.csv")
    page = await teacher.shown(plan)
    assert "<script>alert" not in page
    assert "<img src=x>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


async def test_a_piece_of_the_page_says_when_it_has_ended(teacher: Visitor) -> None:
    class_id = await teacher.api.new_class()
    plan = await planned(teacher, into(class_id), CHER)
    await teacher.send(plan, f"{plan}/apply")
    headers = {"HX-Request": "true"}
    going = text_of(await teacher.api.get(plan, headers=headers))
    assert "<html" not in going
    assert 'hx-trigger="every 2s,' in going
    while await teacher.api.setup.store.imports.apply_next():
        pass
    ended = text_of(await teacher.api.get(plan, headers=headers))
    assert 'hx-trigger="every 2s,' not in ended
    assert 'hx-swap-oob="innerHTML:#spoken"' in ended


async def test_anothers_import_is_not_there(teacher: Visitor, other: Visitor) -> None:
    class_id = await teacher.api.new_class()
    plan = await planned(teacher, into(class_id), CHER)
    fields = await teacher.fields(plan, f"{plan}/apply")
    assert (await other.get(plan)).status == 404
    assert plan not in await other.shown(IMPORTS)
    token = await other.fields(IMPORTS, IMPORTS)
    for act in ("apply", "undo"):
        sent = await other.post(f"{plan}/{act}", {**fields, **token})
        assert sent.status == 404
    mine = await other.api.new_class(user=OTHER)
    assert (await upload(other, into(mine), "Förnamn;Efternamn\r\nBo;\r\n")).status == 303
    assert await roster(teacher, class_id) == []


async def test_a_class_with_errors_is_to_be_mended_not_left_out(teacher: Visitor) -> None:
    class_id = await teacher.api.new_class()
    text = "Förnamn;Efternamn;E-post\r\nBo;Ek;no address\r\nVera;Ek;\r\n"
    plan = await planned(teacher, into(class_id), text)
    page = await teacher.shown(plan)
    assert "Mend the file, and import it once more." in page
    assert f'action="{plan}/apply"' not in page
    assert "This is not an email address." in page

"""What is left of JSON once a student is taken out of it."""

from typing import Any, Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.personal.redaction import (
    ERASED,
    Traces,
    about,
    of_everybody,
    of_student,
    rewritten,
    without_suggestions,
)

HER: Final = "0198f3b0-7c4e-7a61-8d0f-2f1f6a3b9c01"
HIM: Final = "019a2b71-05d2-7c3a-9be4-b7f1f0c2d802"
ESSAY: Final = "019a2b71-05d2-7c3a-9be4-b7f1f0c2d803"
TRACES: Final = Traces(HER, frozenset({ESSAY}))
NAMED: Final = Traces(HER, names=("Åsa Qvist", "Åsa"))


def student(student_id: str) -> dict[str, Any]:
    name = {"first_name": "Åsa", "last_name": "Qvist", "legal_full_name": "Åsa Qvist"}
    more = {"email": "asa@skola.example", "external_id": "q1", "is_placeholder": False}
    return {"id": student_id, "person_name": name, **name, **more, "class_ids": [HIM]}


def test_the_student_has_neither_names_nor_addresses_and_the_form_stays() -> None:
    after = of_student({"students": [student(HER)]}, TRACES)
    [one] = after["students"]
    assert one.keys() == student(HER).keys()
    name = {"first_name": "", "last_name": "", "legal_full_name": ""}
    more = {"email": None, "external_id": None, "is_placeholder": False}
    assert one == {"id": HER, "person_name": name, **name, **more, "class_ids": [HIM]}


def test_who_has_the_same_name_keeps_it() -> None:
    both = [student(HER), student(HIM)]
    assert of_student(both, TRACES)[1] == student(HIM)


def test_the_clocks_event_names_by_essay() -> None:
    her = {"essay_id": ESSAY, "student_first_name": "Åsa", "student_email": "a@b.example"}
    his = {**her, "essay_id": HIM}
    event = {"data": {"auto_confirmed_associations": [her, his]}}
    assert of_student(event, TRACES)["data"]["auto_confirmed_associations"] == [
        {"essay_id": ESSAY, "student_first_name": "", "student_email": None},
        his,
    ]


def test_the_essay_of_another_student_loses_its_file_name_only() -> None:
    essay = {
        "essay_id": ESSAY,
        "student_id": HIM,
        "student_name": "Bo Ek",
        "filename": "asa.txt",
        "match_reasons": ["Åsa"],
    }
    assert of_student(essay, TRACES) == {**essay, "filename": None, "match_reasons": []}


def test_names_in_texts_go_as_whole_words_however_they_are_written() -> None:
    texts = ["åsa qvist.", "Åsa Qvister", {"detail": "near Åsa Qvist", "student_id": HIM}]
    assert of_student(texts, NAMED) == [
        f"{ERASED}.",
        "Åsa Qvister",
        {"detail": f"near {ERASED}", "student_id": HIM},
    ]


def test_of_one_name_others_keep_their_share() -> None:
    assert of_student(["Åsa", "Åsa Ek"], NAMED) == [ERASED, "Åsa Ek"]


def test_a_message_suggests_her_no_more() -> None:
    other = {"student_id": HIM, "student_name": "Bo Ek"}
    her = {"student_id": HER.upper(), "student_name": "Åsa Qvist"}
    results = [
        {"essay_id": ESSAY, "filename": "asa.txt", "suggestions": [her, other]},
        {"essay_id": HIM, "filename": "bo.txt", "suggestions": [other]},
    ]
    message = {"event_id": HIM, "data": {"match_results": results}}
    assert without_suggestions(message, HER)["data"]["match_results"] == [
        {"essay_id": ESSAY, "filename": None, "suggestions": [other]},
        results[1],
    ]


@pytest.mark.parametrize("odd", [None, [], "x", {"data": None}, {"data": {"match_results": 1}}])
def test_what_is_no_message_stays(odd: object) -> None:
    assert without_suggestions(odd, HER) == odd


def test_a_user_is_a_pseudonym_and_nobody_has_a_name() -> None:
    value = {"user_id": "u", "class_designation": "Åsas", "payload": {"student_name": "Åsa"}}
    assert of_everybody(value, "u", "p") == {
        "user_id": "p",
        "class_designation": "",
        "payload": {"student_name": ""},
    }


def test_an_export_shows_what_is_about_her() -> None:
    assert list(about({"students": [student(HIM), student(HER)]}, TRACES)) == [student(HER)]


def test_what_changes_nothing_is_not_written_again_and_what_is_no_json_goes() -> None:
    assert rewritten(orjson.dumps(student(HIM)), lambda one: of_student(one, TRACES)) is None
    assert rewritten(b"\xff", lambda one: one) == b"{}"
    assert rewritten(None, lambda one: one) is None


IDS: Final = st.sampled_from([HER, HIM, ESSAY])
MEMBERS: Final = st.sampled_from(
    ["student_id", "essay_id", "id", "first_name", "email", "message", "before", "x", "filename"]
)
VALUES: Final = st.recursive(
    st.one_of(IDS, st.sampled_from(["Åsa Qvist", "near Åsa Qvist", "Bo"]), st.none()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_with_her_names_no_text_has_them_and_once_is_enough(value: object) -> None:
    after = of_student(value, Traces(HER, frozenset({ESSAY}), ("Åsa Qvist",)))
    assert "Åsa Qvist" not in orjson.dumps(after).decode()
    assert of_student(after, Traces(HER, frozenset({ESSAY}), ("Åsa Qvist",))) == after

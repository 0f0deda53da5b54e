"""What callers may send, and where a fault is pointed at."""

import json
from typing import Any
from uuid import UUID

import email_validator
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel

from rules.emails import is_plain
from rules.errors import MultipleCoursesError, ValidationFailedError
from rules.inputs import (
    MAX_CLASS_NAME,
    MAX_CLASSES_PER_STUDENT,
    MAX_DECISIONS,
    MAX_NAME_PART,
    ClassChangeInput,
    CorrectionInput,
    DecisionsInput,
    MergeInput,
    NewClassInput,
    NewStudentInput,
    StudentChangeInput,
    read_json,
)
from rules.models import (
    ClassChange,
    EmailChange,
    HumanDecision,
    NewClass,
    PersonName,
    StudentChange,
)
from rules.text import normalised
from tests.unit.rules.strategies import CLASSES, ESSAYS, STUDENTS, names

NAME = {"first_name": "Åsa", "last_name": "Öberg"}
A, B, C = (str(class_id) for class_id in CLASSES)


def body(value: object) -> bytes:
    return json.dumps(value).encode()


def faults(model: type[BaseModel], value: object) -> list[str]:
    """Return where the faults of a body are."""
    with pytest.raises(ValidationFailedError) as refusal:
        read_json(model, value if isinstance(value, bytes) else body(value))
    return [error.pointer for error in refusal.value.errors]


# --- texts -------------------------------------------------------------------------------------

_MODELS = (
    ClassChangeInput,
    CorrectionInput,
    DecisionsInput,
    MergeInput,
    NewClassInput,
    NewStudentInput,
    StudentChangeInput,
)
_ODD: st.SearchStrategy[object] = st.recursive(
    st.sampled_from([None, True, 3, 2.5, "", "x", "x" * 300, "x" * 700, A, "SV1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=4,
)
_DECISION = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("essay_id", "student_id", "confirmed"), _ODD)
)
_ODD_BODIES = _ODD | st.fixed_dictionaries(
    {},
    optional={
        **{name: _ODD for model in _MODELS for name in model.model_fields},
        "person_name": _ODD | st.fixed_dictionaries({}, optional=dict.fromkeys(NAME, _ODD)),
        "associations": _ODD | st.lists(_DECISION, min_size=1, max_size=2),
        "confirm_suggested": _ODD
        | st.fixed_dictionaries({"min_confidence": _ODD | st.sampled_from([-1, 2, 1e400])}),
    },
)


@given(st.sampled_from(_MODELS), _ODD_BODIES.map(body) | st.sampled_from([b"", b"{", b"\xff"]))
def test_a_fault_is_told_in_the_words_of_who_sends_json(
    model: type[BaseModel], sent: bytes
) -> None:
    try:
        read_json(model, sent)
    except MultipleCoursesError:
        return
    except ValidationFailedError as refusal:
        for fault in refusal.errors:
            assert fault.detail.endswith("."), fault
            assert "nput" not in fault.detail
            assert "Field" not in fault.detail


@pytest.mark.parametrize(
    ("model", "sent", "told"),
    [
        (NewClassInput, {}, ["Must be given.", "Must be given."]),
        (NewClassInput, {"name": 7, "course_codes": {}}, ["Must be a text.", "Must be a list."]),
        (NewClassInput, {"name": "x" * 101, "course_codes": ["SV1"]}, ["At most 100 characters."]),
        (NewClassInput, [], ["Must be an object."]),
        (NewClassInput, b"{", ["Is not JSON: EOF while parsing an object at line 1 column 1."]),
        (StudentChangeInput, {"person_name": []}, ["Must be an object."]),
        (MergeInput, {"into": "x"}, ["Must be a UUID."]),
        (DecisionsInput, {"confirm_suggested": {"min_confidence": 2}}, ["At most 1."]),
        (DecisionsInput, {"confirm_suggested": {"min_confidence": -1}}, ["At least 0."]),
        (DecisionsInput, {"confirm_suggested": {"min_confidence": "1"}}, ["Must be a number."]),
        (
            DecisionsInput,
            {"associations": [{"essay_id": A, "confirmed": "yes"}]},
            ["Must be true or false."],
        ),
    ],
)
def test_what_faults_are_told(model: type[BaseModel], sent: object, told: list[str]) -> None:
    with pytest.raises(ValidationFailedError) as refusal:
        read_json(model, sent if isinstance(sent, bytes) else body(sent))
    assert [fault.detail for fault in refusal.value.errors] == told


# --- addresses ---------------------------------------------------------------------------------

_local = st.text("aZ09_+-.", min_size=1, max_size=70)
_domain = st.lists(st.text("aZ09-x", min_size=1, max_size=65), min_size=1, max_size=7)


@given(local=_local, domain=_domain, end=st.sampled_from(["se", "example", "x", "c0", "se\n", ""]))
@example(local="a" * 64, domain=["b" * 63, "b" * 63, "b" * 61], end="se")
@example(local="a" * 65, domain=["b"], end="se")
@example(local="a", domain=["xn--a"], end="se")
def test_an_address_that_nobody_doubts_is_one(local: str, domain: list[str], end: str) -> None:
    """The quick look lets nothing through that a thorough one would not."""
    address = f"{local}@{'.'.join([*domain, end])}"
    if is_plain(address):
        email_validator.validate_email(address, check_deliverability=False)


@pytest.mark.parametrize("address", ["åsa.öberg+9a@skola.example", "Asa_O-berg@x1.skola.example"])
def test_addresses_of_schools_are_fine(address: str) -> None:
    body_ = body({"person_name": NAME, "email": address})
    assert read_json(NewStudentInput, body_).email == address


@pytest.mark.parametrize(
    "domain",
    [
        "huleedu.system",
        "HuleEdu.SYSTEM",
        "mail.huleedu.system",
        "a.b.HULEEDU.system",
        "huleedu\u3002system",
        "\uff48\uff55\uff4c\uff45\uff45\uff44\uff55.\uff53\uff59\uff53\uff54\uff45\uff4d",
        "huleedu\ufe0f.system",
        "huleedu.\u017fystem",
        "\u24d7uleedu.system",
        "huleedu.system.",
        "huleedu.system\u3002",
        "hule\u00adedu.system",
    ],
)
@pytest.mark.parametrize("local", ["unknown.x", "åsa"])
def test_addresses_of_the_service_are_refused_in_any_spelling(local: str, domain: str) -> None:
    email = f"{local}@{domain}"
    assert faults(NewStudentInput, {"person_name": NAME, "email": email}) == ["/email"]
    assert faults(StudentChangeInput, {"email": email}) == ["/email"]


@pytest.mark.parametrize(
    "email",
    ["a@huleedu.systems", "a@xhuleedu.system", "a@huleedu.system.se", "huleedu.system@x.se"],
)
def test_addresses_that_only_look_like_the_services_are_taken(email: str) -> None:
    assert read_json(StudentChangeInput, body({"email": email})).email == email


# --- classes -----------------------------------------------------------------------------------


def test_class_to_make() -> None:
    read = read_json(NewClassInput, body({"name": "9A", "course_codes": ["SV1"], "more": 1}))
    assert read.resolve(CLASSES[0]) == NewClass(CLASSES[0], "9A", "SV1")
    assert read.resolve().id != read.resolve().id


@pytest.mark.parametrize(
    ("value", "pointers"),
    [
        ({}, ["/name", "/course_codes"]),
        ({"name": "", "course_codes": ["SV1"]}, ["/name"]),
        ({"name": " \t ", "course_codes": ["SV1"]}, ["/name"]),
        ({"name": "\u00a0\u2003", "course_codes": ["SV1"]}, ["/name"]),
        ({"name": "a\x00b", "course_codes": ["SV1"]}, ["/name"]),
        ({"name": "a\nb", "course_codes": ["SV1"]}, ["/name"]),
        ({"name": "a\u0085b", "course_codes": ["SV1"]}, ["/name"]),
        ({"name": "x" * (MAX_CLASS_NAME + 1), "course_codes": ["SV1"]}, ["/name"]),
        ({"name": 1, "course_codes": ["SV1"]}, ["/name"]),
        ({"name": None, "course_codes": ["SV1"]}, ["/name"]),
        ({"name": "9A", "course_codes": "SV1"}, ["/course_codes"]),
        ({"name": "9A", "course_codes": None}, ["/course_codes"]),
        ({"name": "9A", "course_codes": [1]}, ["/course_codes/0"]),
        ({"name": "9A", "course_codes": ["SV1", 2]}, ["/course_codes/1"]),
        ([], [""]),
        ("text", [""]),
        (None, [""]),
        (b"", [""]),
        (b"{", [""]),
        (b"\xff", [""]),
        (b'{"name": "\xff", "course_codes": ["SV1"]}', [""]),
        (b'{"name": "\\ud800", "course_codes": ["SV1"]}', [""]),
        (b"[" * 100_000, [""]),
        (b'{"name": NaN}', ["/name", "/course_codes"]),
    ],
)
def test_class_that_does_not_fit(value: object, pointers: list[str]) -> None:
    assert faults(NewClassInput, value) == pointers


@pytest.mark.parametrize("name", ["x" * MAX_CLASS_NAME, "🎓" * MAX_CLASS_NAME, "9 A", "a\u200db"])
def test_class_name_that_fits(name: str) -> None:
    read = read_json(NewClassInput, body({"name": name, "course_codes": ["SV1"]}))
    assert read.resolve().name == name


@given(names)
@example("عبد الله")
@example("a\u2028b")
@example("e\u0301")
def test_name_is_stored_as_it_is_normalised(written: str) -> None:
    name = normalised(written)
    person = {"first_name": written, "last_name": written, "legal_full_name": written}
    read = read_json(NewStudentInput, body({"person_name": person}))
    assert read.resolve().name == PersonName(name, name, name)
    value = {"name": written, "course_codes": ["SV1"]}
    unescaped = json.dumps(value, ensure_ascii=False).encode()
    assert read_json(NewClassInput, unescaped).resolve().name == name


@given(st.sampled_from([chr(i) for i in (*range(0x20), *range(0x7F, 0xA0))]))
def test_control_characters_are_refused_anywhere(character: str) -> None:
    """Those that are white space, too, unless they are taken off the ends."""
    around = () if normalised(character) == "" else (f"{character}ab", f"ab{character}")
    for name in (f"a{character}b", *around):
        assert faults(ClassChangeInput, {"name": name}) == ["/name"]


@pytest.mark.parametrize("model", [NewClassInput, ClassChangeInput])
@pytest.mark.parametrize(
    ("codes", "pointer"),
    [
        ([], "/course_codes"),
        (["XX1"], "/course_codes/0"),
        (["sv1"], "/course_codes/0"),
        ([""], "/course_codes/0"),
    ],
)
def test_class_has_a_known_course_and_every_fault_beside_it_is_named(
    model: type[BaseModel], codes: list[str], pointer: str
) -> None:
    assert faults(model, {"name": "9A", "course_codes": codes}) == [pointer]
    assert faults(model, {"name": "", "course_codes": codes}) == ["/name", pointer]


@pytest.mark.parametrize("model", [NewClassInput, ClassChangeInput])
@pytest.mark.parametrize("codes", [["SV1", "SV2"], ["SV1", "SV1"], ["XX1", "SV1"]])
def test_several_courses_have_an_error_of_their_own_unless_more_is_wrong(
    model: type[BaseModel], codes: list[str]
) -> None:
    with pytest.raises(MultipleCoursesError):
        read_json(model, body({"name": "9A", "course_codes": codes}))
    assert faults(model, {"name": "", "course_codes": codes}) == ["/name", "/course_codes"]


@pytest.mark.parametrize(
    ("value", "change"),
    [
        ({}, ClassChange()),
        ({"name": None, "course_codes": None}, ClassChange()),
        ({"name": "9B"}, ClassChange(name="9B")),
        ({"course_codes": ["ENG7"]}, ClassChange(course_code="ENG7")),
        ({"name": "9B", "course_codes": ["SV3"]}, ClassChange("9B", "SV3")),
    ],
)
def test_class_change(value: dict[str, Any], change: ClassChange) -> None:
    assert read_json(ClassChangeInput, body(value)).resolve() == change


# --- students ----------------------------------------------------------------------------------


def test_student_to_make() -> None:
    value = {"person_name": NAME, "email": "Asa@Skola.example", "class_ids": [B, A, B.upper()]}
    new = read_json(NewStudentInput, body(value)).resolve(STUDENTS[0])
    assert (new.id, new.email) == (STUDENTS[0], "Asa@Skola.example")
    assert new.class_ids == (CLASSES[1], CLASSES[0])
    assert new.name == PersonName("Åsa", "Öberg", "Åsa Öberg")


@pytest.mark.parametrize("value", [{}, {"email": None}, {"class_ids": []}])
def test_student_needs_only_a_name(value: dict[str, Any]) -> None:
    new = read_json(NewStudentInput, body({"person_name": NAME, **value})).resolve()
    assert (new.email, new.class_ids) == (None, ())


@pytest.mark.parametrize(
    ("legal", "expected"), [({}, "Åsa Öberg"), ({"legal_full_name": None}, "Åsa Öberg")]
)
def test_legal_name_is_put_together_where_none_is_given(
    legal: dict[str, Any], expected: str
) -> None:
    read = read_json(NewStudentInput, body({"person_name": {**NAME, **legal}}))
    assert read.resolve().name.legal_full_name == expected


@pytest.mark.parametrize(
    ("value", "pointers"),
    [
        ({}, ["/person_name"]),
        ({"person_name": None}, ["/person_name"]),
        ({"person_name": "Åsa Öberg"}, ["/person_name"]),
        ({"person_name": {}}, ["/person_name"]),
        ({"person_name": {**NAME, "first_name": None}}, ["/person_name/first_name"]),
        ({"person_name": {**NAME, "last_name": "a\x00"}}, ["/person_name/last_name"]),
        (
            {"person_name": {**NAME, "last_name": "x" * (MAX_NAME_PART + 1)}},
            ["/person_name/last_name"],
        ),
        ({"person_name": {**NAME, "legal_full_name": "\x00"}}, ["/person_name/legal_full_name"]),
        (
            {"person_name": {**NAME, "legal_full_name": "x" * 601}},
            ["/person_name/legal_full_name"],
        ),
        ({"person_name": NAME, "email": "nobody"}, ["/email"]),
        ({"person_name": NAME, "email": "a@b.example\x00"}, ["/email"]),
        ({"person_name": NAME, "email": "a b@c.example"}, ["/email"]),
        ({"person_name": NAME, "email": "\x1fa@b.example"}, ["/email"]),
        ({"person_name": NAME, "email": "Åsa <a@b.example>"}, ["/email"]),
        ({"person_name": NAME, "email": "a@b.example\nc"}, ["/email"]),
        ({"person_name": NAME, "email": "x" * 300 + "@b.example"}, ["/email"]),
        ({"person_name": NAME, "email": 1}, ["/email"]),
        ({"person_name": NAME, "class_ids": None}, ["/class_ids"]),
        ({"person_name": NAME, "class_ids": [A, "no-id"]}, ["/class_ids/1"]),
        ({"person_name": NAME, "class_ids": [1]}, ["/class_ids/0"]),
        (
            {"person_name": NAME, "class_ids": [A] * (MAX_CLASSES_PER_STUDENT + 1)},
            ["/class_ids"],
        ),
    ],
)
def test_student_that_does_not_fit(value: dict[str, Any], pointers: list[str]) -> None:
    assert faults(NewStudentInput, value) == pointers


def test_longest_names_fit_with_their_legal_form() -> None:
    longest = "x" * MAX_NAME_PART
    person = {"first_name": longest, "last_name": longest}
    name = read_json(NewStudentInput, body({"person_name": person})).resolve().name
    again = {**person, "legal_full_name": name.legal_full_name}
    assert read_json(NewStudentInput, body({"person_name": again})).resolve().name == name


@pytest.mark.parametrize(
    "email", ["a@b.example", "åsa@skola.example", "a.b+c@x.y.local", "A@B.test", "t@mail.internal"]
)
def test_address_of_a_schools_own_network_is_taken_as_written(email: str) -> None:
    read = read_json(NewStudentInput, body({"person_name": NAME, "email": email}))
    assert read.resolve().email == email


@pytest.mark.parametrize(
    "email", ["å@skola.local", "o'k@mail.TEST", "å@skola.\uff4cocal", "a@b.loc\ufe0fal"]
)
def test_reserved_domain_is_taken_though_the_library_keeps_its_list(email: str) -> None:
    assert "local" in email_validator.SPECIAL_USE_DOMAIN_NAMES
    read = read_json(NewStudentInput, body({"person_name": NAME, "email": email}))
    assert read.resolve().email == email


@pytest.mark.parametrize("email", ["å@local", "å@-a.local", f"å@{'b' * 64}.local"])
def test_reserved_domain_excuses_no_other_fault(email: str) -> None:
    with pytest.raises(ValidationFailedError):
        read_json(NewStudentInput, body({"person_name": NAME, "email": email}))


@pytest.mark.parametrize(
    ("value", "change"),
    [
        ({}, StudentChange()),
        ({"person_name": None}, StudentChange()),
        ({"person_name": NAME}, StudentChange(name=PersonName("Åsa", "Öberg", "Åsa Öberg"))),
        ({"email": None}, StudentChange(email=EmailChange(None))),
        ({"email": "a@b.example"}, StudentChange(email=EmailChange("a@b.example"))),
        (
            {"add_class_ids": [A, A], "remove_class_ids": [B, B, C]},
            StudentChange(add_class_ids=(CLASSES[0],), remove_class_ids=(CLASSES[1], CLASSES[2])),
        ),
    ],
)
def test_student_change(value: dict[str, Any], change: StudentChange) -> None:
    assert read_json(StudentChangeInput, body(value)).resolve() == change


@pytest.mark.parametrize(
    ("value", "pointers"),
    [
        ({"add_class_ids": [A], "remove_class_ids": [B, A]}, ["/remove_class_ids/1"]),
        (
            {"remove_class_ids": [A, B, C], "add_class_ids": [C, A], "email": "nobody"},
            ["/email", "/remove_class_ids/0", "/remove_class_ids/2"],
        ),
        ({"add_class_ids": ["x"], "remove_class_ids": [A]}, ["/add_class_ids/0"]),
    ],
)
def test_class_is_not_joined_and_left_at_once(value: dict[str, Any], pointers: list[str]) -> None:
    assert faults(StudentChangeInput, value) == pointers


@pytest.mark.parametrize(
    ("value", "pointers"),
    [
        ({"person_name": {"last_name": ""}}, ["/person_name"]),
        ({"email": "nobody"}, ["/email"]),
        ({"add_class_ids": ["x"]}, ["/add_class_ids/0"]),
        ({"remove_class_ids": [A, {}]}, ["/remove_class_ids/1"]),
    ],
)
def test_student_change_that_does_not_fit(value: dict[str, Any], pointers: list[str]) -> None:
    assert faults(StudentChangeInput, value) == pointers


# --- decisions ---------------------------------------------------------------------------------


def test_decisions_keep_their_order() -> None:
    essays = [str(essay) for essay in ESSAYS[:3]]
    value = {
        "associations": [
            {"essay_id": essays[1], "confirmed": True},
            {"essay_id": essays[0], "confirmed": False, "student_id": None},
            {"essay_id": essays[2], "confirmed": True, "student_id": str(STUDENTS[0])},
        ]
    }
    assert read_json(DecisionsInput, body(value)).resolve() == [
        HumanDecision(ESSAYS[1], confirmed=True),
        HumanDecision(ESSAYS[0], confirmed=False),
        HumanDecision(ESSAYS[2], confirmed=True, student_id=STUDENTS[0]),
    ]


@pytest.mark.parametrize(
    ("value", "pointers"),
    [
        ({"associations": None}, ["/associations"]),
        ({"confirm_suggested": {}}, ["/confirm_suggested/min_confidence"]),
        ({"confirm_suggested": 0.5}, ["/confirm_suggested"]),
        (
            {"associations": [{}], "confirm_suggested": {"min_confidence": 1.01}},
            [
                "/associations/0/essay_id",
                "/associations/0/confirmed",
                "/confirm_suggested/min_confidence",
            ],
        ),
        *(
            (
                {"confirm_suggested": {"min_confidence": confidence}},
                ["/confirm_suggested/min_confidence"],
            )
            for confidence in (-0.1, "0.5", True, None)
        ),
        ({"associations": [{}]}, ["/associations/0/essay_id", "/associations/0/confirmed"]),
        ({"associations": [1]}, ["/associations/0"]),
        (
            {"associations": [{"essay_id": "x", "confirmed": True}]},
            ["/associations/0/essay_id"],
        ),
        (
            {"associations": [{"essay_id": A, "confirmed": "yes"}]},
            ["/associations/0/confirmed"],
        ),
        ({"associations": [{"essay_id": A, "confirmed": 1}]}, ["/associations/0/confirmed"]),
        (
            {"associations": [{"essay_id": A, "confirmed": True}] * (MAX_DECISIONS + 1)},
            ["/associations"],
        ),
    ],
)
def test_decisions_that_do_not_fit(value: dict[str, Any], pointers: list[str]) -> None:
    assert faults(DecisionsInput, value) == pointers


@pytest.mark.parametrize(
    ("value", "minimum"),
    [
        ({"confirm_suggested": {"min_confidence": 0}}, 0.0),
        ({"confirm_suggested": {"min_confidence": 0.75}, "associations": []}, 0.75),
        ({"associations": [{"essay_id": A, "confirmed": True}]}, None),
        ({"associations": [{"essay_id": A, "confirmed": True}], "confirm_suggested": None}, None),
    ],
)
def test_suggestions_may_be_confirmed_by_their_confidence(
    value: dict[str, Any], minimum: float | None
) -> None:
    given = read_json(DecisionsInput, body(value))
    assert given.min_confidence == minimum
    assert len(given.resolve()) == len(value.get("associations", ()))


@pytest.mark.parametrize("value", [{}, {"associations": []}, {"confirm_suggested": None}])
def test_something_has_to_be_decided(value: dict[str, Any]) -> None:
    with pytest.raises(ValidationFailedError) as refusal:
        read_json(DecisionsInput, body(value)).resolve()
    assert [fault.pointer for fault in refusal.value.errors] == ["/associations"]


# --- for whatever comes ------------------------------------------------------------------------

MODELS = [
    NewClassInput,
    ClassChangeInput,
    NewStudentInput,
    StudentChangeInput,
    DecisionsInput,
]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "course_codes", "person_name", "first_name", "email", "~/"])
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


def check_pointers(refusal: ValidationFailedError) -> None:
    assert refusal.errors
    assert all(e.pointer == "" or e.pointer.startswith("/") for e in refusal.errors)


@pytest.mark.parametrize("model", MODELS)
@given(value=json_values)
def test_any_json_is_read_or_refused(model: type[BaseModel], value: object) -> None:
    try:
        read_json(model, body(value))
    except ValidationFailedError as refusal:
        check_pointers(refusal)


@pytest.mark.parametrize("model", MODELS)
@given(value=st.binary(max_size=50))
def test_any_bytes_are_read_or_refused(model: type[BaseModel], value: bytes) -> None:
    try:
        read_json(model, value)
    except ValidationFailedError as refusal:
        check_pointers(refusal)


@given(st.text("abcdefghijklmnopqrstuvwxyzåäö", min_size=12, max_size=30))
def test_refusals_do_not_repeat_what_was_sent(secret: str) -> None:
    for value in (
        {"person_name": {**NAME, "first_name": secret + "\x00"}},
        {"person_name": NAME, "email": secret},
        {"person_name": {**NAME, "last_name": {secret: secret}}},
        {"person_name": {**NAME, "last_name": secret * 255}},
        {"person_name": NAME, "class_ids": [secret]},
    ):
        with pytest.raises(ValidationFailedError) as refusal:
            read_json(NewStudentInput, body(value))
        assert secret not in refusal.value.detail
        assert all(secret not in e.detail + e.pointer for e in refusal.value.errors)


def test_pointers_are_escaped() -> None:
    class Odd(BaseModel):
        value: dict[str, int]

    assert faults(Odd, {"value": {"a/b~c": "x"}}) == ["/value/a~1b~0c"]


@given(st.uuids())
def test_ids_are_read_in_any_form(one: UUID) -> None:
    for text in (str(one), str(one).upper()):
        decision = {"essay_id": text, "confirmed": True}
        [read] = read_json(DecisionsInput, body({"associations": [decision]})).resolve()
        assert read.essay_id == one


@pytest.mark.parametrize(
    ("model", "value", "texts"),
    [
        (NewClassInput, {"name": " ", "course_codes": ["SV1"]}, ["Must not be blank."]),
        (NewClassInput, {"name": "9A", "course_codes": ["SV1"] * 101}, ["At most 100 items."]),
        (
            NewClassInput,
            {"name": "\u0958" * 99, "course_codes": ["SV1"]},
            ["Must not be so long once composed (NFC)."],
        ),
        (
            StudentChangeInput,
            {"add_class_ids": [1], "remove_class_ids": ["0" * 9]},
            ["Must be a UUID.", "Must be a UUID."],
        ),
        (StudentChangeInput, {"add_class_ids": [A] * 1001}, ["At most 1000 items."]),
        (DecisionsInput, {"associations": [1] * 10_001}, ["At most 10000 items."]),
        (MergeInput, {"into": {}}, ["Must be a UUID."]),
    ],
)
def test_faults_are_told_to_people(model: type[BaseModel], value: object, texts: list[str]) -> None:
    with pytest.raises(ValidationFailedError) as refusal:
        read_json(model, body(value))
    assert [fault.detail for fault in refusal.value.errors] == texts


@pytest.mark.parametrize(
    ("model", "member"),
    [
        (NewStudentInput, "class_ids"),
        (StudentChangeInput, "add_class_ids"),
        (StudentChangeInput, "remove_class_ids"),
        (NewClassInput, "course_codes"),
    ],
)
def test_first_of_a_megabyte_of_faults_is_told(model: type[BaseModel], member: str) -> None:
    value = {"name": "9A", "person_name": NAME, member: [1] * 300_000}
    assert faults(model, value) == [f"/{member}/0"]


def test_megabyte_of_bad_decisions_is_refused_without_telling_each() -> None:
    assert faults(DecisionsInput, {"associations": [1] * 300_000}) == ["/associations"]

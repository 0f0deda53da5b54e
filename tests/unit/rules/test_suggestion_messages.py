"""Which match suggestions can be read."""

import json
from typing import Any, Final

import pytest

from rules.errors import ValidationFailedError
from rules.messages.suggestions import (
    MAX_FILENAME,
    MAX_REASON,
    MAX_REASONS,
    parse_suggestions,
)
from rules.models import Record, SuggestionMessage

E: Final = "00000000-0000-7000-8000-000000000000"


def parse(
    confidence: str, *, reasons: list[Any] | None = None, **members: object
) -> SuggestionMessage:
    """Read one suggestion with this JSON for its confidence, and more `members` of its essay."""
    suggestion = {"student_id": E, "confidence_score": "?", "match_reasons": reasons or []}
    value = {
        "event_id": E,
        "event_type": "batch.author.matches.suggested",
        "correlation_id": E,
        "data": {
            "batch_id": E,
            "class_id": E,
            "match_results": [{"essay_id": E, "suggestions": [suggestion], **members}],
        },
    }
    text = json.dumps(value).replace('"?"', confidence)
    return parse_suggestions(Record("topic", 0, 0, 0, None, text.encode(), ()))


@pytest.mark.parametrize(
    ("given", "read"), [("0", 0.0), ("1", 1.0), ("0.7", 0.7), ("1e-400", 0.0), ("1.0", 1.0)]
)
def test_a_confidence_is_a_number_from_0_to_1(given: str, read: float) -> None:
    assert parse(given).results[0].suggestions[0].confidence == read


@pytest.mark.parametrize(
    "given",
    ['"0.9"', '"1"', "true", "false", "null", "[1]", "NaN", "Infinity", "-0.1", "1.01", "1e400"],
)
def test_nothing_else_is_a_confidence(given: str) -> None:
    with pytest.raises(ValidationFailedError) as refusal:
        parse(given)
    assert refusal.value.detail.endswith(" at /data/match_results/0/suggestions/0/confidence_score")


@pytest.mark.parametrize("reasons", [["x"] * MAX_REASONS, ["\u0301" * MAX_REASON], ["a\nb\x1f"]])
def test_reasons_are_any_text(reasons: list[str]) -> None:
    assert parse("1", reasons=reasons).results[0].suggestions[0].match_reasons == tuple(reasons)


def test_reasons_are_read_as_they_can_be_stored() -> None:
    read = parse("1", reasons=["a\0b", "\0", "c"]).results[0].suggestions[0].match_reasons
    assert read == ("ab", "", "c")


@pytest.mark.parametrize(
    "reasons", [["x" * (MAX_REASON + 1)], ["x"] * (MAX_REASONS + 1), [1], [None]]
)
def test_reasons_have_a_length_and_are_text(reasons: list[Any]) -> None:
    with pytest.raises(ValidationFailedError) as refusal:
        parse("1", reasons=reasons)
    assert "/match_reasons" in refusal.value.detail


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("Elevtext 1.docx", "Elevtext 1.docx"),
        ("x" * 1_000, "x" * 1_000),
        ("a\0b", "ab"),
        ("", None),
        (None, None),
        (5, None),
        (["x"], None),
        ("x" * (MAX_FILENAME + 1), None),
    ],
)
def test_a_filename_is_read_and_never_a_reason_to_refuse(given: object, read: str | None) -> None:
    assert parse("1", filename=given).results[0].filename == read
    assert parse("1").results[0].filename is None


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (b"Elevtext \xe5.docx".decode(errors="surrogateescape"), "Elevtext \ufffd.docx"),
        ("\ud800", "\ufffd"),
        ("\udc00\ud800\ud83d", "\ufffd" * 3),
        ("\ud800\U0001f600\udc00", "\ufffd\U0001f600\ufffd"),
        ("\\ud800\udcff", "\\ud800\ufffd"),
        ("\\\udcff\\\\udcff", "\\\ufffd\\\\udcff"),
    ],
)
def test_half_a_character_is_replaced(given: str, read: str) -> None:
    """Python's json writes it for what is in a file's name and no UTF-8."""
    assert parse("1", filename=given).results[0].filename == read
    assert parse("1", reasons=[given]).results[0].suggestions[0].match_reasons == (read,)
    assert parse("1", filename="Å", student_email=given).results[0].filename == "Å"


def test_it_mends_no_other_fault() -> None:
    with pytest.raises(ValidationFailedError) as refusal:
        parse("2", filename="\ud800")
    assert refusal.value.detail.endswith(" at /data/match_results/0/suggestions/0/confidence_score")
    for broken in (b"{", b'{"a": "\\ud800"', b'{"a": "\\ud80"}', b""):
        with pytest.raises(ValidationFailedError) as refusal:
            parse_suggestions(Record("topic", 0, 0, 0, None, broken, ()))
        assert refusal.value.detail == "json_invalid at /"

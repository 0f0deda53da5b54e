"""Reading and answering conditions: the headers of RFC 9110, section 13."""

import re

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from rules.conditions import Condition
from rules.errors import ValidationFailedError
from web.conditions import asked, compressed, entity_tag, unless_known

texts = st.text(st.characters(min_codepoint=0x21, exclude_characters='"\x7f'), max_size=10)
blanks = st.text(" \t", max_size=3)


def if_match(*lines: str) -> CIMultiDict[str]:
    return CIMultiDict([("If-Match", line) for line in lines])


@given(st.lists(st.tuples(texts, st.booleans(), blanks), min_size=1, max_size=5), st.data())
def test_every_list_is_read_however_it_is_written(
    tags: list[tuple[str, bool, str]], data: st.DataObject
) -> None:
    written = [f'{blank}{"W/" * weak}"{text}"{blank}' for text, weak, blank in tags]
    split = data.draw(st.integers(0, len(written) - 1))
    lines = [",".join(part) for part in (written[:split], written[split:]) if part]
    strong = frozenset(text.removesuffix("-gzip") for text, weak, _ in tags if not weak)
    assert asked(if_match(*lines)) == Condition(strong)
    assert asked(if_match(f",,{','.join(lines)} ,\t,")) == Condition(strong)


@given(st.text(max_size=12))
def test_anything_else_is_refused_and_not_more(text: str) -> None:
    is_list = re.fullmatch(r'[ \t,]*((W/)?"[^\x00-\x20"\x7f]*"[ \t]*(,[ \t,]*|$))+', text)
    if text.strip(" \t") == "*":
        assert asked(if_match(text)) is None
    elif is_list:
        assert asked(if_match(text)) is not None
    else:
        with pytest.raises(ValidationFailedError, match="If-Match"):
            asked(if_match(text))


@pytest.mark.parametrize(
    "lines", [[], ["*"], [" * "]], ids=["none", "anything", "anything with blanks"]
)
def test_what_holds_anyway_is_no_condition(lines: list[str]) -> None:
    assert asked(if_match(*lines)) is None


@pytest.mark.parametrize("lines", [["*", "*"], ["*", '"a"'], ['"a"', "x"], ["", ""]])
def test_lines_that_make_no_list_together_are_refused(lines: list[str]) -> None:
    with pytest.raises(ValidationFailedError):
        asked(if_match(*lines))


def test_a_long_header_is_read_in_one_go() -> None:
    for text in (" " * 8000 + "x", '"' * 8000, ' "a"' * 2000, "," * 8000, ' ,"a"' * 1600 + "x"):
        with pytest.raises(ValidationFailedError):
            asked(if_match(text))


@given(texts)
def test_a_compressed_answer_has_a_tag_of_its_own_that_stands_for_the_same(text: str) -> None:
    entity = entity_tag(text)
    packed = compressed(entity)
    assert packed != entity
    assert asked(if_match(packed)) == Condition(frozenset({text}))


@given(st.lists(st.sampled_from(["a", "b", "a-gzip", "c"]), min_size=1), st.booleans())
def test_what_is_known_is_not_sent_again(known: list[str], is_weak: bool) -> None:  # noqa: FBT001
    header = ",".join(f'{"W/" * is_weak}"{text}"' for text in known)
    whole = web.Response(body=b"{}", headers={"ETag": '"a"', "Content-Type": "application/json"})
    answer = unless_known(CIMultiDict({"If-None-Match": header}), whole)
    same = [text for text in known if text in {"a", "a-gzip"}]
    if same:
        assert (answer.status, answer.body) == (304, None)
        assert answer.headers["ETag"] == f'"{same[0]}"'
    else:
        assert answer is whole


@pytest.mark.parametrize("known", ['"a-gzip"', 'W/"a-gzip"', '"a"', '"b", "a-gzip"'])
def test_what_is_compressed_already_is_known_in_either_form(known: str) -> None:
    whole = web.Response(body=b"packed", headers={"ETag": '"a-gzip"', "Content-Encoding": "gzip"})
    answer = unless_known(CIMultiDict({"If-None-Match": known}), whole)
    assert (answer.status, answer.body) == (304, None)
    assert answer.headers["ETag"] in known
    assert "Content-Encoding" not in answer.headers


@pytest.mark.parametrize("known", ['"b"', '"b-gzip"', '"a-br"', '"a-gzip-gzip"'])
def test_what_is_compressed_already_and_not_known_is_sent(known: str) -> None:
    whole = web.Response(body=b"packed", headers={"ETag": '"a-gzip"'})
    assert unless_known(CIMultiDict({"If-None-Match": known}), whole) is whole


def test_what_is_known_may_be_kept_as_long_as_what_would_be_sent() -> None:
    kept = {"Cache-Control": "public, max-age=1", "Vary": "Accept-Encoding", "ETag": '"a"'}
    whole = web.Response(body=b"{}", headers={**kept, "Content-Type": "application/json"})
    answer = unless_known(CIMultiDict({"If-None-Match": "*"}), whole)
    assert (answer.status, dict(answer.headers)) == (304, kept)


def test_an_answer_without_a_tag_is_sent() -> None:
    whole = web.Response(body=b"{}")
    assert unless_known(CIMultiDict({"If-None-Match": "*"}), whole) is whole

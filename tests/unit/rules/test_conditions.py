"""What holds of a condition, and of the tags that it names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.conditions import Condition
from rules.errors import PreconditionFailedError
from rules.tags import Tagger, tag_of


@given(st.sets(st.text(max_size=3)), st.text(max_size=3))
def test_a_condition_holds_for_the_tags_that_it_names(tags: set[str], tag: str) -> None:
    condition = Condition(frozenset(tags))
    if tag in tags:
        condition.check(tag)
    else:
        with pytest.raises(PreconditionFailedError):
            condition.check(tag)


@given(st.lists(st.binary(max_size=40), max_size=5), st.binary(max_size=40))
def test_a_tag_is_of_the_content_alone(pieces: list[bytes], other: bytes) -> None:
    tagger = Tagger()
    for piece in pieces:
        tagger.take(piece)
    whole = b"".join(pieces)
    assert tagger.tag == tag_of(whole)
    assert (tag_of(other) == tag_of(whole)) == (other == whole)
    assert tag_of(whole).isalnum()

"""Who of those with one address has its key."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from rules.email_keys import Keyed, collisions, plan_keys
from tests.unit.rules.strategies import NOW

OWNER: Final = "teacher-1"


def keyed(number: int, key: str | None = "k", minute: int = 0, owner: str = OWNER) -> Keyed:
    return Keyed(UUID(int=number), owner, key, NOW + timedelta(minutes=minute))


students = st.builds(
    keyed,
    st.integers(1, 40),
    st.sampled_from(["k", "l", None]),
    st.integers(0, 3),
    st.sampled_from(["a", "b"]),
)


def test_a_free_key_goes_to_the_oldest_and_of_one_moment_to_the_first_id() -> None:
    wanting = [keyed(3, minute=1), keyed(2, minute=1), keyed(1, minute=2)]
    plan = plan_keys(wanting, [(OWNER, "k")], [])
    assert plan.keys == {UUID(int=3): None, UUID(int=2): "k", UUID(int=1): None}
    assert plan.losing == []


def test_who_has_a_key_keeps_it_from_the_younger_and_gives_it_to_the_older() -> None:
    holder = keyed(9, minute=5)
    plan = plan_keys([keyed(1, minute=6)], [], [holder])
    assert (plan.keys, plan.losing) == ({UUID(int=1): None}, [])
    plan = plan_keys([keyed(1, minute=6), keyed(2, minute=4)], [], [holder])
    assert (plan.keys, plan.losing) == ({UUID(int=1): None, UUID(int=2): "k"}, [holder.id])
    assert plan_keys([holder], [], [holder]).keys == {holder.id: "k"}


def test_a_key_of_somebody_unknown_is_left_with_all_who_want_it() -> None:
    plan = plan_keys([keyed(1), keyed(2, None), keyed(3, owner="other")], [("other", "k")], [])
    assert plan.keys == {UUID(int=2): None, UUID(int=3): "k"}


@given(
    st.lists(students, unique_by=lambda one: one.id),
    st.lists(students, unique_by=(lambda one: one.id, lambda one: (one.owner_id, one.key))),
    st.sets(st.tuples(st.sampled_from("ab"), st.sampled_from("kl"))),
)
def test_no_key_is_given_twice_and_none_is_kept_from_the_oldest(
    wanting: list[Keyed], holders: list[Keyed], free: set[tuple[str, str]]
) -> None:
    ids = {one.id for one in wanting}
    holding = [h for h in holders if h.key and (h.owner_id, h.key) not in free and h.id not in ids]
    plan = plan_keys(wanting, free, holding)
    owner_of = {one.id: one.owner_id for one in wanting}
    given_ = [(owner_of[i], key) for i, key in plan.keys.items() if key is not None]
    assert len(given_) == len(set(given_))
    kept = {(h.owner_id, h.key) for h in holding if h.id not in plan.losing}
    assert not kept & set(given_)
    known = {*free, *((h.owner_id, h.key) for h in holding)}
    wanted = {(one.owner_id, one.key) for one in wanting if one.key is not None}
    assert wanted & known <= {*given_, *kept}


def test_who_is_alone_with_an_address_collides_with_nobody() -> None:
    assert collisions([keyed(1)], []) == []
    [found] = collisions([keyed(1, minute=3), keyed(2, "l")], [keyed(3, minute=1)])
    assert [one.id.int for one in found.students] == [3, 1]

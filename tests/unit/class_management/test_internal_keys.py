"""INTERNAL_API_KEY: one key, or several for rotation."""

import pytest

from class_management.settings import PREFIX, SettingsError, load_settings

NAME = f"{PREFIX}INTERNAL_API_KEY"


@pytest.mark.parametrize(
    ("given", "keys"),
    [("", ()), ("one", ("one",)), ("new,old", ("new", "old")), (" new , old ", ("new", "old"))],
)
def test_keys_are_separated_by_commas(
    monkeypatch: pytest.MonkeyPatch, given: str, keys: tuple[str, ...]
) -> None:
    monkeypatch.setenv(NAME, given)
    assert load_settings().internal_api_keys == keys


@pytest.mark.parametrize("given", [",", "hemligt,", ",hemligt", "hemligt,,annat"])
def test_an_empty_key_would_let_anybody_in(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv(NAME, given)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value) == f"{NAME}: has a key that is empty"

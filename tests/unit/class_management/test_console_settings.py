"""CONSOLE and CONSOLE_SIGN_IN: who only says who it is, is believed for development alone."""

import pytest

from class_management.settings import PREFIX, ConsoleSignIn, SettingsError, load_settings
from class_management.views import _config, _operations
from web.console.sessions import SignIn
from web.console.table import CONSOLE_OPERATIONS

SIGN_IN = f"{PREFIX}CONSOLE_SIGN_IN"


def given(monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(PREFIX + name, value)


def test_nobody_is_believed_unless_it_is_asked_for() -> None:
    settings = load_settings()
    assert (settings.console, settings.console_sign_in) == (True, ConsoleSignIn.GATEWAY)
    assert _config(settings).sign_in is SignIn.GATEWAY


@pytest.mark.parametrize("written", ["development", "DEVELOPMENT", "Development"])
def test_for_development_everybody_is(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    given(monkeypatch, CONSOLE_SIGN_IN=written)
    assert _config(load_settings()).sign_in is SignIn.DEVELOPMENT


@pytest.mark.parametrize(
    "environment",
    [
        *("production", "Production", "PROD", "prod-eu", "eu-prod", "eu_production", "prd"),
        *("live", "EU live", "pre-prod"),
    ],
)
def test_in_production_nobody_is(monkeypatch: pytest.MonkeyPatch, environment: str) -> None:
    given(monkeypatch, CONSOLE_SIGN_IN="development", ENVIRONMENT=environment)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value) == (
        f"{SIGN_IN}=development lets everybody in as anybody: "
        f"not with {PREFIX}ENVIRONMENT={environment}"
    )


@pytest.mark.parametrize("environment", ["development", "staging", "test", "reproduction", "olive"])
def test_elsewhere_it_may_be(monkeypatch: pytest.MonkeyPatch, environment: str) -> None:
    given(monkeypatch, CONSOLE_SIGN_IN="development", ENVIRONMENT=environment)
    assert load_settings().environment == environment


def test_beside_tokens_nobody_is(monkeypatch: pytest.MonkeyPatch) -> None:
    key = "x" * 32
    given(monkeypatch, CONSOLE_SIGN_IN="development", GATEWAY_JWT_KEY=key)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    text = str(caught.value)
    assert text.endswith(f"as anybody: not together with {PREFIX}GATEWAY_JWT_KEY")
    assert key not in text


def test_beside_tokens_in_production_the_gateway_says_it(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, ENVIRONMENT="production", GATEWAY_JWT_KEY="x" * 32)
    assert load_settings().console_sign_in is ConsoleSignIn.GATEWAY


@pytest.mark.parametrize("written", ["", "anybody", "true", "development "])
def test_what_is_no_way_to_sign_in_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    given(monkeypatch, CONSOLE_SIGN_IN=written)
    if not written:  # counts as not given
        assert load_settings().console_sign_in is ConsoleSignIn.GATEWAY
        return
    with pytest.raises(SettingsError, match=f"^{SIGN_IN}: "):
        load_settings()


@pytest.mark.parametrize(
    ("settings", "has_pages"),
    [
        ({}, True),
        ({"ROLE": "web"}, True),
        ({"ROLE": "stream"}, False),
        ({"CONSOLE": "false"}, False),
        ({"CONSOLE": "false", "ROLE": "web"}, False),
    ],
)
def test_which_processes_have_pages(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], *, has_pages: bool
) -> None:
    given(monkeypatch, **settings)
    loaded = load_settings()
    served = {one.name for one in _operations(loaded)}
    assert {one.name in served for one in CONSOLE_OPERATIONS} == {has_pages}
    assert _config(loaded).console is has_pages

"""CORS_ALLOWED_ORIGINS: origins as browsers send them, else the service does not start."""

import pytest

from class_management.settings import PREFIX, SettingsError, load_settings

NAME = f"{PREFIX}CORS_ALLOWED_ORIGINS"


@pytest.mark.parametrize(
    ("given", "origins"),
    [
        ("", set()),
        ("https://app.example", {"https://app.example"}),
        (
            " https://app.example , http://localhost:3000",
            {"https://app.example", "http://localhost:3000"},
        ),
        ("http://[::1]:8080", {"http://[::1]:8080"}),
        ("https://xn--bcher-kva.example:8443", {"https://xn--bcher-kva.example:8443"}),
        ("http://x:443,https://x:80", {"http://x:443", "https://x:80"}),
    ],
)
def test_origins_are_separated_by_commas(
    monkeypatch: pytest.MonkeyPatch, given: str, origins: set[str]
) -> None:
    monkeypatch.setenv(NAME, given)
    assert load_settings().allowed_origins == origins


@pytest.mark.parametrize(
    "given",
    [
        "*",
        "null",
        ",",
        "https://app.example,",
        "https://app.example,*",
        "app.example",
        "https://",
        "https://app.example/",
        "https://app.example/path",
        "https://app.example?x",
        "https://hemligt:x@app.example",
        "https://App.example",
        "HTTPS://app.example",
        "https://bücher.example",
        "https://app.example:443",
        "http://app.example:80",
        "https://app.example:0",
        "https://app.example:08443",
        "https://app.example:65536",
        "https://*.example",
        "ftp://app.example",
        "https://app.example https://other.example",
    ],
)
def test_what_no_browser_sends_would_let_nobody_in(
    monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv(NAME, f"https://one.example,{given}" if given != "," else given)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    line = str(caught.value)
    assert line.startswith(f"{NAME}: must be origins as browsers send them")
    assert line.isprintable()
    assert "hemligt" not in line

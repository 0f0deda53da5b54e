"""Every setting is bounded, and a bad one is one line that names it."""

import math
import os
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import annotated_types
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from class_management.settings import (
    PREFIX,
    Choice,
    LogFormat,
    LogLevel,
    Settings,
    SettingsError,
    load_settings,
)

SECRET: Final = "s3cr3t-\n-value"


def kinds(field: FieldInfo) -> set[Any]:
    """Return the types of a field, None left out."""
    annotation = field.annotation
    union = typing.get_origin(annotation) in {typing.Union, types.UnionType}
    members = typing.get_args(annotation) if union else (annotation,)
    return {_plain(member) for member in members} - {type(None)}


def _plain(annotation: Any) -> Any:  # noqa: ANN401
    is_annotated = typing.get_origin(annotation) is typing.Annotated
    return typing.get_args(annotation)[0] if is_annotated else annotation


def of_kind(*wanted: type) -> list[str]:
    return [n for n, field in Settings.model_fields.items() if kinds(field) & set(wanted)]


def bounds(name: str) -> tuple[float, float]:
    """Return the least and the most that a number may be; what is missing is infinite."""
    field = Settings.model_fields[name]
    found = [*field.metadata]
    for member in typing.get_args(field.annotation):
        for part in typing.get_args(member)[1:]:
            found += part.metadata if isinstance(part, FieldInfo) else [part]
    least: list[Any] = [m.ge for m in found if isinstance(m, annotated_types.Ge)]
    most: list[Any] = [m.le for m in found if isinstance(m, annotated_types.Le)]
    return (least or [-math.inf])[0], (most or [math.inf])[0]


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)


def refused(values: dict[str, str]) -> str:
    """Return the line with which an environment is refused."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(PREFIX + name.upper(), value)
        with pytest.raises(SettingsError) as caught:
            load_settings()
    line = str(caught.value)
    assert line.isprintable()
    return line


@pytest.mark.parametrize("name", of_kind(int, float))
def test_every_number_is_bounded_on_both_sides(name: str) -> None:
    least, most = bounds(name)
    assert -math.inf < least < most < math.inf


@given(data=st.data())
def test_each_number_out_of_bounds_is_named(data: st.DataObject) -> None:
    names = of_kind(int, float)
    line = refused({name: data.draw(out_of_bounds(name), name) for name in names})
    assert [name for name in names if f"{PREFIX}{name.upper()}: " not in line] == []


def out_of_bounds(name: str) -> st.SearchStrategy[str]:
    least, most = bounds(name)
    below = st.floats(max_value=math.nextafter(least, -math.inf), allow_nan=False)
    above = st.floats(min_value=math.nextafter(most, math.inf), allow_nan=False)
    return st.one_of(below, above).map(repr) | st.sampled_from(["nan", "x", "0x1"])


@pytest.mark.parametrize("name", of_kind(int, float))
@given(data=st.data())
def test_a_number_within_bounds_is_taken(name: str, data: st.DataObject) -> None:
    least, most = bounds(name)
    whole = kinds(Settings.model_fields[name]) == {int}
    numbers = st.integers(int(least), int(most)) if whole else st.floats(least, most)
    value = data.draw(numbers)
    # The pool's bounds belong together.
    others = {"database_pool_max_size": 300} if name == "database_pool_min_size" else {}
    others |= {"database_pool_min_size": 0} if name == "database_pool_max_size" else {}
    assert getattr(Settings.model_validate({**others, name: repr(value)}), name) == value


@pytest.mark.parametrize(
    "name", [n for n in Settings.model_fields if n not in of_kind(str, SecretStr)]
)
def test_what_is_no_value_of_its_kind_is_named(name: str) -> None:
    if name == "data_dir":
        return  # any path may be made; the start tries
    assert f"{PREFIX}{name.upper()}: " in refused({name: "§ neither nor"})


@pytest.mark.parametrize("name", of_kind(str, SecretStr))
@pytest.mark.parametrize("value", [" ", "a\nb", "a\x1b[31m", "\udcff", "\u202eab"])
def test_text_that_cannot_be_shown_is_named(name: str, value: str) -> None:
    assert f"{PREFIX}{name.upper()}" in refused({name: value})


@pytest.mark.parametrize("name", of_kind(SecretStr))
def test_a_bad_secret_is_not_shown(name: str) -> None:
    assert "s3cr3t" not in refused({name: SECRET})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://u:s3cr3t@h/x"),
        ("DATABASE_URL", "postgresql://u:s3cr3t@h:99999/x"),
        ("DATABASE_URL", "postgresql://u:s3cr3t@[::1/x"),
        ("DATABASE_URL", "postgresql://u:s3c/r3t@h/s3cr3t"),
        ("DATABASE_URL", "postgresql://u:5#s3cr3t@h/x"),
        ("REDIS_URL", "redis://:s3cr3t@h:99999/0"),
        ("REDIS_URL", "redis://:1#s3cr3t@h/0"),
        ("REDIS_URL", "h:6379"),
        ("ADVERTISED_URL", "http://h:99999"),
        ("ADVERTISED_URL", "http://u:s3cr3t@h:1"),
        ("KAFKA_BOOTSTRAP_SERVERS", "h:99999"),
        ("KAFKA_BOOTSTRAP_SERVERS", "h:0"),
        ("KAFKA_BOOTSTRAP_SERVERS", "h"),
        ("KAFKA_CONSUMER_GROUP", "Ångström"),
        ("KAFKA_GROUP_INSTANCE_ID", "a/b"),
        ("INTERNAL_API_KEY", "\ts3cr3t"),
        ("PORT", "99999"),
        ("DATABASE_COMMAND_TIMEOUT_SECONDS", "1e9"),
        ("KAFKA_SESSION_TIMEOUT_SECONDS", "0.001"),
    ],
)
def test_a_bad_value_is_one_line_without_it(name: str, value: str) -> None:
    line = refused({name: value})
    assert line.startswith(f"{PREFIX}{name}: ")
    assert "s3cr3t" not in line


@pytest.mark.parametrize("name", Settings.model_fields)
@pytest.mark.parametrize(
    "value",
    [
        "s3cr3t" * 60,  # longer than the name of a file may be
        f"/{'s3cr3t/' * 1000}",  # and than a path
        "https://u:s3cr3t@h:1s3cr3t/#s3cr3t@[s3cr3t",
        "s3cr3t\x01\n",
        "\udcffs3cr3t",
    ],
    ids=["name", "path", "url", "control", "surrogate"],
)
def test_whatever_is_set_no_fault_shows_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"{PREFIX}{name.upper()}", value)
    try:
        load_settings()
    except SettingsError as error:
        line = str(error)  # and no other error, whose text may quote the value
        assert line.startswith(f"{PREFIX}{name.upper()}")
        assert "s3cr3t" not in line
        assert line.isprintable()


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (
            {"DATABASE_POOL_MIN_SIZE": "31"},
            ["DATABASE_POOL_MIN_SIZE", "DATABASE_POOL_MAX_SIZE"],
        ),
        ({"USE_MOCK_REPOSITORY": "true", "ROLE": "web"}, ["USE_MOCK_REPOSITORY", "ROLE"]),
        (
            {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT"},
            ["KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"],
        ),
        (
            {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_USERNAME": "u"},
            ["KAFKA_SASL_PASSWORD"],
        ),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CAFILE": __file__}, ["KAFKA_SSL_CAFILE"]),
        (
            {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CERTFILE": __file__},
            ["KAFKA_SSL_CERTFILE"],
        ),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_KEYFILE": __file__}, ["KAFKA_SSL_KEYFILE"]),
        ({"PORT": "0", "LOG_LEVEL": "LOUD"}, ["PORT", "LOG_LEVEL"]),
    ],
)
def test_what_does_not_fit_together_is_named(values: dict[str, str], named: list[str]) -> None:
    line = refused(values)
    assert [name for name in named if PREFIX + name not in line] == []
    assert "s3cr3t" not in line


def choices() -> Iterator[tuple[str, Choice]]:
    for name, field in Settings.model_fields.items():
        for kind in kinds(field):
            if isinstance(kind, type) and issubclass(kind, Choice):
                yield from ((name, choice) for choice in kind)


@pytest.mark.parametrize(("name", "choice"), list(choices()))
def test_words_may_be_written_in_capitals_or_not(name: str, choice: Choice) -> None:
    # SASL asks for a name and a password.
    others = {"kafka_sasl_username": "u", "kafka_sasl_password": "p"}
    for written in (choice.value.lower(), choice.value.upper(), choice.value.title()):
        found = Settings.model_validate({**others, name: written})
        assert getattr(found, name) is choice


def test_what_is_empty_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.setenv(PREFIX + name.upper(), "")
    found = load_settings()
    assert found == Settings()
    assert (found.log_level, found.log_format) == (LogLevel.INFO, LogFormat.AUTO)
    assert found.data_dir == Path(".run/data")

"""What a command says when it cannot be carried out."""

import logging
import os
from typing import NoReturn

import pytest
import structlog

from class_management.cli.runner import EXIT_TROUBLE, TroubleError, run
from class_management.settings import PREFIX, Settings

REFUSED = "PostgreSQL: Connect call failed ('127.0.0.1', 5435)"


async def unreachable(_settings: Settings) -> NoReturn:
    raise TroubleError(REFUSED) from OSError()


async def misspelt(_settings: Settings) -> NoReturn:
    raise TroubleError("'x' is neither an event id nor a number of the list") from None


@pytest.fixture(autouse=True)
def _a_shell_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no settings, and leave the logs of this process alone, which a command makes silent."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(structlog, "configure", lambda **_options: None)
    monkeypatch.setattr(logging.getLogger("aiokafka"), "setLevel", lambda _level: None)


def test_who_gave_no_setting_is_told_so_where_a_server_is_away(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(unreachable)
    assert ended.value.code == EXIT_TROUBLE
    trouble, settings = capsys.readouterr().err.splitlines()
    assert trouble == f"class-management: {REFUSED}"
    assert settings.startswith(f"class-management: no {PREFIX} setting is given")


def test_who_gave_one_is_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{PREFIX}LOG_LEVEL", "INFO")
    with pytest.raises(SystemExit):
        run(unreachable)
    assert capsys.readouterr().err == f"class-management: {REFUSED}\n"


def test_nothing_is_said_of_settings_where_another_thing_is_wrong(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(misspelt)
    assert ended.value.code == EXIT_TROUBLE
    assert len(capsys.readouterr().err.splitlines()) == 1

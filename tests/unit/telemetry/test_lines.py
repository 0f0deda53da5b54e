"""Lines that are written without structlog's chain are those that it would write."""

import subprocess
import sys

import orjson
import pytest

PROGRAM = """
import logging, sys
from telemetry.logs import LineLogger, correlate, get_logger, setup_logging
setup_logging(sys.argv[1], json=sys.argv[2] == "json")
correlate("an id")
lines, logger = LineLogger("a.module"), get_logger("a.module")
for level in logging.INFO, logging.DEBUG:
    lines.log(level, "request", method="GET", status=200, ms=0.25)
    logger.log(level, "request", method="GET", status=200, ms=0.25)
"""


def logged(level: str, form: str) -> list[bytes]:
    command = [sys.executable, "-c", PROGRAM, level, form]
    return subprocess.run(command, check=True, capture_output=True).stderr.splitlines()


@pytest.mark.parametrize(("level", "count"), [("DEBUG", 4), ("INFO", 2), ("WARNING", 0)])
def test_json_is_the_same(level: str, count: int) -> None:
    lines = [orjson.loads(line) for line in logged(level, "json")]
    assert len(lines) == count
    for own, structlogs in zip(lines[::2], lines[1::2], strict=True):
        assert list(own) == list(structlogs)
        assert (
            len(own.pop("timestamp"))
            == len(structlogs.pop("timestamp"))
            == len("2026-01-01T00:00:00.000000Z")
        )
        assert own == structlogs


def test_people_have_their_form() -> None:
    own, structlogs = (line.split(b"Z ")[-1] for line in logged("INFO", "text"))
    assert b"request" in own
    assert own == structlogs

"""The limit of open files is raised, and connections kept below it."""

import resource
import subprocess
import sys
from typing import Final

import pytest
from structlog.testing import capture_logs

from class_management.descriptors import connection_limits
from class_management.settings import Role, Settings

SETTINGS: Final = Settings(http_max_connections=2000, database_pool_max_size=30)
#: 2,000, 100 in reserve, 320 for others, 30 of the pool, and 8 partitions of 72 files each.
NEEDED: Final = 2000 + 100 + 320 + 30 + 8 * 72


class System:
    """Has limits of open files of its own."""

    def __init__(self, soft: int, hard: int, ceiling: int | None = None) -> None:
        self.soft, self.hard, self.ceiling = soft, hard, ceiling

    def getrlimit(self, _resource: int) -> tuple[int, int]:
        return self.soft, self.hard

    def setrlimit(self, _resource: int, limits: tuple[int, int]) -> None:
        if self.ceiling is not None and limits[0] > self.ceiling:
            raise ValueError("not allowed to raise maximum limit")
        self.soft, self.hard = limits


@pytest.fixture
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> System:
    system = System(*request.param)
    monkeypatch.setattr(resource, "getrlimit", system.getrlimit)
    monkeypatch.setattr(resource, "setrlimit", system.setrlimit)
    return system


@pytest.mark.parametrize(
    ("system", "soft", "connections"),
    [
        ((1024, 1_048_576), NEEDED, 2000),
        ((1024, resource.RLIM_INFINITY), NEEDED, 2000),
        ((65_536, 65_536), 65_536, 2000),  # never lowered
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), resource.RLIM_INFINITY, 2000),
        ((NEEDED, NEEDED), NEEDED, 2000),
        ((1024, NEEDED - 1), NEEDED - 1, 1999),
        ((1024, 2048), 2048, 2048 - (NEEDED - 2000)),
        ((1024, 1024), 1024, 256),
        ((256, 256), 256, 64),
        ((1024, 4096, 1024), 1024, 256),
    ],
    indirect=["system"],
)
def test_as_many_connections_as_files_allow(system: System, soft: int, connections: int) -> None:
    with capture_logs() as lines:
        assert connection_limits(SETTINGS).connections == connections
    assert system.soft == soft
    assert [line["connections"] for line in lines] == [connections] * (connections < 2000)


@pytest.mark.parametrize("system", [(1024, 1_048_576)], indirect=True)
def test_a_process_that_only_answers_http_keeps_no_files_of_the_table(system: System) -> None:
    connection_limits(SETTINGS.model_copy(update={"role": Role.WEB}))
    assert system.soft == NEEDED - 8 * 72


@pytest.mark.parametrize("system", [(1024, 1_048_576), (1024, 1024)], indirect=True)
@pytest.mark.usefixtures("system")
def test_the_other_limits_are_as_configured_also_where_files_are_few() -> None:
    settings = SETTINGS.model_copy(
        update={"requests_in_flight": 7, "requests_in_flight_per_user": 3}
    )
    limits = connection_limits(settings)
    assert (limits.requests, limits.user_requests) == (7, 3)


def test_a_process_really_has_more_files_then() -> None:
    code = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 4096))
from class_management.descriptors import connection_limits
from class_management.settings import Settings
print(connection_limits(Settings(http_max_connections=500)).connections)
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    connections, files = done.stdout.split()
    assert (connections, int(files) > 1500) == ("500", True)

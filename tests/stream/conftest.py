"""The service under test: one stack for the session, and a worker with a module's settings."""

from collections.abc import AsyncIterator, Generator, Iterator, Mapping
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from devstack.rig.database import Database
from devstack.rig.http import Http, Teacher
from devstack.rig.kafka import Topics, reading
from devstack.rig.service import Host, ServiceProcess
from tests.support import published
from tests.support.conformance import conforming
from tests.support.forked import ForkedWorker
from tests.support.shared import copied

HERE: Final = Path(__file__).parent
LOG_LINES: Final = 40

_host: pytest.StashKey[Host] = pytest.StashKey()


@pytest.fixture
def host(
    request: pytest.FixtureRequest, postgres_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Host:
    """Have the servers running, as long as tests of this folder follow each other."""
    if _host not in request.config.stash:
        _start(request.config, postgres_data, tmp_path_factory)
    return request.config.stash[_host]


@pytest.fixture
def own_host(
    request: pytest.FixtureRequest, postgres_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Host]:
    """Have servers for one test alone, which may leave them as it likes."""
    _stop(request.config)
    _start(request.config, postgres_data, tmp_path_factory)
    yield request.config.stash[_host]
    _stop(request.config)


def _start(
    config: pytest.Config, postgres_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config.stash[_host] = host = Host(tmp_path_factory.mktemp("stream"), ForkedWorker)
    try:
        host.stack.data_dir.mkdir(parents=True)
        assert host.stack.postgres is not None
        copied(postgres_data, host.stack.postgres.data_dir)
        host.start(has_schema=True)
    except BaseException:
        _stop(config)
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, None, None]:
    """Stop the servers before tests that do not need them: also at rest they take time."""
    yield
    if nextitem is None or HERE not in nextitem.path.parents:
        _stop(item.config)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Stop the servers also where the tests are broken off."""
    _stop(session.config)


def _stop(config: pytest.Config) -> None:
    if host := config.stash.get(_host, None):
        del config.stash[_host]
        host.stop()


@pytest.fixture
def settings() -> Mapping[str, str]:
    """Say how the worker is set up; a module that needs it otherwise has a fixture of its own.

    Teachers have all the time in the world here, and only what is certain is confirmed by itself.
    """
    return {"AUTO_CONFIRM_THRESHOLD": "0.99", "SUGGESTION_RETRY_SECONDS": "5"}


@pytest.fixture
def service(host: Host, settings: Mapping[str, str]) -> ServiceProcess:
    """Have a worker running with these settings."""
    return host.service(settings)


@pytest.fixture
def second(
    host: Host, service: ServiceProcess, settings: Mapping[str, str]
) -> Iterator[ServiceProcess]:
    """Have a second worker beside the first."""
    assert service.pid is not None
    worker = host.another(settings)
    try:
        yield worker
    finally:
        worker.stop()


@pytest.fixture
async def http(host: Host) -> AsyncIterator[Http]:
    """Speak to the worker; what it answers is held against the OpenAPI document."""
    async with aiohttp.ClientSession(trace_configs=[conforming()]) as session:
        yield Http(session, host.port)


@pytest.fixture
def teacher(http: Http) -> Teacher:
    """Return a teacher of this test's own."""
    return http.teacher()


@pytest.fixture
def database(host: Host) -> Database:
    """Look into PostgreSQL."""
    assert host.stack.postgres is not None
    return Database(host.stack.postgres.url)


@pytest.fixture
async def topics(host: Host, service: ServiceProcess, database: Database) -> AsyncIterator[Topics]:
    """Read the topics from their beginning."""
    assert service.pid is not None
    assert host.stack.broker is not None
    async with reading(host.stack.broker.bootstrap_servers, database.outbox_drained) as topics:
        yield topics
        published.look_at(topics.published())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of the worker's log beside a failure."""
    report = yield
    host = item.config.stash.get(_host, None)
    if report.failed and host is not None:
        report.sections.append((f"worker's log at {call.when}", host.log_tail(LOG_LINES)))
    return report

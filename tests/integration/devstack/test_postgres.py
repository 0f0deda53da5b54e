import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from devstack.postgres import EmbeddedPostgres
from devstack.process import DevstackError
from devstack.rig.database import connected
from devstack.stack import REPOSITORY


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("postgres")


@pytest.fixture
def postgres(folder: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(folder) as server:
        yield server


async def fetch(server: EmbeddedPostgres, sql: str) -> object:
    async with connected(server.url, connect_seconds=5) as connection:
        return await connection.fetchval(sql)


async def test_what_is_committed_survives_stop_and_kill(postgres: EmbeddedPostgres) -> None:
    await fetch(postgres, "create table kept as select 1 as number")
    postgres.restart()
    await fetch(postgres, "insert into kept values (2)")
    postgres.kill()
    postgres.start()
    assert await fetch(postgres, "select sum(number) from kept") == 3


async def test_text_is_utf8_and_case_is_right_beyond_ascii(postgres: EmbeddedPostgres) -> None:
    assert await fetch(postgres, "show server_encoding") == "UTF8"
    assert await fetch(postgres, "select lower('ÅÄÖ') || upper('éø')") == "åäöÉØ"


async def test_fsync_is_on(postgres: EmbeddedPostgres) -> None:
    assert await fetch(postgres, "show fsync") == "on"


async def test_a_wrong_password_is_refused(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        async with connected(postgres.url.replace(postgres.password, "guess")):
            pass


async def test_paused_it_does_not_answer_and_open_sessions_go_on_after(
    postgres: EmbeddedPostgres,
) -> None:
    async with connected(postgres.url) as connection:
        postgres.pause()
        with pytest.raises(TimeoutError):
            async with connected(postgres.url, connect_seconds=0.3):
                pass
        postgres.resume()
        assert await connection.fetchval("select 1") == 1


async def test_a_database_is_copied_with_its_tables(postgres: EmbeddedPostgres) -> None:
    first = postgres.create_database("first")
    async with connected(first) as connection:
        await connection.execute("create table copied as select 7 as number")
    async with connected(postgres.create_database("second", template="first")) as second:
        assert await second.fetchval("select number from copied") == 7
    for name in ("first", "second"):
        postgres.drop_database(name)


def test_a_lock_file_that_names_another_program_is_no_hindrance(folder: Path) -> None:
    with EmbeddedPostgres(folder) as server:
        lock = folder / "pgdata" / "postmaster.pid"
        lines = lock.read_text(encoding="utf-8").splitlines()
        server.kill()
    lock.write_text("\n".join([str(os.getpid()), *lines[1:]]), encoding="utf-8")
    with EmbeddedPostgres(folder) as server:
        assert server.execute("select 1") == "1"


def test_frozen_processes_of_a_killed_program_are_cleared_away(tmp_path: Path) -> None:
    script = f"""
import os, pathlib, signal
from devstack.postgres import EmbeddedPostgres
server = EmbeddedPostgres(pathlib.Path({str(tmp_path)!r}))
server.start()
server.pause()
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, check=False)
    assert done.returncode == -signal.SIGKILL
    with EmbeddedPostgres(tmp_path) as server:
        assert server.execute("select 1") == "1"


def test_a_folder_in_use_is_refused(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(DevstackError, match=f"in use by process {postgres.pid}"):
        EmbeddedPostgres(postgres.data_dir).start()
    assert postgres.execute("select 1") == "1"


def test_a_server_that_cannot_start_says_why(folder: Path) -> None:
    server = EmbeddedPostgres(folder, settings={"max_connections": "many"})
    with pytest.raises(DevstackError, match="max_connections"):
        server.start()

"""A folder of tables with another layout is emptied, with one line in the log."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tables.layout import MARKER, adopt

DATABASE = "pending-associations-3.db"


def with_database(folder: Path) -> Path:
    path = folder / DATABASE
    path.mkdir(parents=True)
    (path / "CURRENT").touch()
    return path


def test_a_new_folder_is_made_and_said_nothing_of(tmp_path: Path) -> None:
    with capture_logs() as logs:
        adopt(tmp_path / "v1" / "tables", 8)
    assert (tmp_path / "v1" / "tables" / MARKER).exists()
    assert logs == []


def test_what_fits_stays(tmp_path: Path) -> None:
    adopt(tmp_path, 8)
    database = with_database(tmp_path)
    with capture_logs() as logs:
        adopt(tmp_path, 8)
    assert database.exists()
    assert logs == []


@pytest.mark.parametrize("marker", [None, "", "{", '{"format": 1, "partitions": 8}'])
def test_what_does_not_fit_goes(tmp_path: Path, marker: str | None) -> None:
    database = with_database(tmp_path)
    if marker is not None:
        (tmp_path / MARKER).write_text(marker)
    (tmp_path / "somebody-elses.txt").touch()
    with capture_logs() as logs:
        adopt(tmp_path, 8)
    assert not database.exists()
    assert (tmp_path / "somebody-elses.txt").exists()
    assert [line["removed"] for line in logs] == [1]


def test_another_number_of_partitions_is_another_layout(tmp_path: Path) -> None:
    adopt(tmp_path, 8)
    database = with_database(tmp_path)
    adopt(tmp_path, 4)
    assert not database.exists()
    database = with_database(tmp_path)
    adopt(tmp_path, 4)
    assert database.exists()

"""What a migration drops: tables, and columns of tables that stay."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, column, func, select, table

#: Alembic's own.
_VERSION_TABLE: Final = "alembic_version"

_COLUMNS: Final = """
select table_name, column_name from information_schema.columns
where table_schema = current_schema()
"""

#: Names of columns by table.
Columns = dict[str, set[str]]


@dataclass(frozen=True, slots=True)
class Loss:
    """A table with its rows, or a column with the values that are not null."""

    table: str
    column: str | None
    count: int


def columns(connection: Connection) -> Columns:
    """Return the columns of the tables that there are."""
    found: Columns = {}
    for name, of_it in connection.exec_driver_sql(_COLUMNS):
        found.setdefault(name, set()).add(of_it)
    found.pop(_VERSION_TABLE, None)
    return found


def losses(connection: Connection, before: Columns, after: Columns) -> list[Loss]:
    """Return what is in `before` and not in `after`, with how much there is of it."""
    tables = sorted(before.keys() - after.keys())
    kept = sorted(before.keys() & after.keys())
    lost_columns = [(name, lost) for name in kept for lost in sorted(before[name] - after[name])]
    return [
        *(Loss(name, None, _count(connection, name, func.count())) for name in tables),
        *(
            Loss(name, lost, _count(connection, name, func.count(column(lost))))
            for name, lost in lost_columns
        ),
    ]


def _count(connection: Connection, name: str, counted: ColumnElement[int]) -> int:
    return connection.execute(select(counted).select_from(table(name))).scalar_one()

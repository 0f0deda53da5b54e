"""What is done in the planning process: all of it pure, and long enough to hold up a web server.

A job and what it returns are pickled. Each imports what it needs when it runs, so that the parent
loads none of it.
"""

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final, Generic, Protocol, TypeVar

from rules.errors import ServiceError
from rules.imports.files import Format
from rules.imports.plans import Plan, PlannedRow, PlanOptions, RosterState
from store.pace import Pace

#: Rows that are unpacked in one go, within a few milliseconds.
_PIECE: Final = 200

ResultT_co = TypeVar("ResultT_co", covariant=True)


class Job(Protocol[ResultT_co]):
    """Something to be done there."""

    def run(self) -> ResultT_co:
        """Do it. Raises ServiceError."""


@dataclass(frozen=True, slots=True)
class Planning:
    """Read a file and plan what it would change."""

    body: bytes
    format: Format
    charset: str | None
    state: RosterState
    options: PlanOptions

    def run(self) -> Plan:
        """Return the plan. Raises FileRefusedError, ValidationFailedError."""
        from rules.imports.planning import make_plan  # noqa: PLC0415
        from rules.imports.reading import read  # noqa: PLC0415

        for_class = self.options.class_id is not None
        contents = read(self.body, self.format, charset=self.charset, for_class=for_class)
        return make_plan(contents, self.state, self.options)


@dataclass(frozen=True, slots=True)
class Undoing:
    """Plan what takes an applied import back."""

    rows: Sequence[PlannedRow]
    state: RosterState

    def run(self) -> Plan:
        """Return the plan."""
        from rules.imports.undoing import make_undo  # noqa: PLC0415

        return make_undo(self.rows, self.state)


@dataclass(frozen=True, slots=True)
class Writing:
    """Write all classes to a file, of the school year that a day is in."""

    state: RosterState
    format: Format
    on: date

    def run(self) -> bytes:
        """Return the file."""
        from rules.imports.exporting import classes_file  # noqa: PLC0415

        return classes_file(self.state, self.format, self.on)


@dataclass(frozen=True, slots=True)
class RosterWriting:
    """Write the roster of a class, as its JSON, to a CSV file."""

    document: bytes

    def run(self) -> bytes:
        """Return the file."""
        from rules.imports.exporting import roster_file  # noqa: PLC0415

        return roster_file(self.document)


@dataclass(frozen=True, slots=True)
class PackedPlan:
    """A plan, and its rows pickled some at a time: whoever unpacks them lets others run between."""

    plan: Plan
    pieces: tuple[bytes, ...]


def packed(result: object) -> object:
    """Return what a job returned as it is sent."""
    if not isinstance(result, Plan):
        return result
    rows = result.rows
    pieces = (rows[start : start + _PIECE] for start in range(0, len(rows), _PIECE))
    return PackedPlan(
        replace(result, rows=()),
        tuple(pickle.dumps(piece, pickle.HIGHEST_PROTOCOL) for piece in pieces),
    )


async def unpacked(result: object) -> object:
    """Return what was sent as the job returned it."""
    if not isinstance(result, PackedPlan):
        return result
    rows: list[PlannedRow] = []
    pace = Pace()
    for piece in result.pieces:
        rows += pickle.loads(piece)  # noqa: S301  # of the planning process
        await pace.keep()
    return replace(result.plan, rows=tuple(rows))


@dataclass(frozen=True, slots=True)
class Done(Generic[ResultT_co]):
    """What a job returned."""

    result: ResultT_co


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a job refused; the members are the error's own, which pickle would not keep."""

    kind: type[ServiceError]
    members: dict[str, Any]

    def error(self) -> ServiceError:
        """Return the error as it was raised."""
        error = self.kind.__new__(self.kind)
        vars(error).update(self.members)
        error.args = (error.detail,)
        return error


@dataclass(frozen=True, slots=True)
class Failed:
    """That a job failed: the type of the error and the places it went through, no text of it."""

    kind: str
    places: tuple[str, ...]


Outcome = Done[Any] | Refused | Failed

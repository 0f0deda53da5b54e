"""Follows a comparison of table and database until every worker has finished."""

import asyncio
from collections.abc import Callable
from typing import Final

from class_management.cli.output import Json
from class_management.cli.runner import TroubleError
from class_management.cli.tables.client import Service

POLL_SECONDS: Final = 0.5
#: A worker that does not answer for this long is not waited for.
SILENCE_SECONDS: Final = 15.0
#: A comparison whose figures do not change for this long is given up.
STALL_SECONDS: Final = 120.0


async def compare(service: Service, *, repair: bool, on_progress: Callable[[Json], None]) -> Json:
    """Have all workers compare; return the results. `on_progress` gets the figures so far.

    Not complete if a worker could not be asked, whose figures are old. Raises TroubleError.
    """
    before = await service.compare(repair=repair)
    asked = {one["worker"]: one["started_at"] for one in before["workers"] if one["reachable"]}
    if not asked:
        raise TroubleError("no worker answers that holds a part of the table")
    clock = asyncio.get_running_loop().time
    last_answer, last_change = clock(), clock()
    last: Json = {}
    while True:
        drift = await service.drift()
        on_progress(drift)
        if drift != last:
            last, last_change = drift, clock()
        silent = asked.keys() - {one["worker"] for one in drift["workers"] if one["reachable"]}
        if not silent:
            last_answer = clock()
        working = any(_is_busy(one, asked) for one in drift["workers"])
        if not working and (not silent or clock() - last_answer > SILENCE_SECONDS):
            return {**drift, "complete": drift["complete"] and not _missed(before, drift)}
        if clock() - last_change > STALL_SECONDS:
            raise TroubleError("the comparison does not get on; `tables` shows who recovers")
        await asyncio.sleep(POLL_SECONDS)


def _is_busy(worker: Json, asked: dict[str, str | None]) -> bool:
    """Return whether a worker has not finished, or not even started, the comparison."""
    if not worker["reachable"] or worker["worker"] not in asked:
        return False
    return bool(worker["running"] or worker["started_at"] in {None, asked[worker["worker"]]})


def _missed(before: Json, after: Json) -> set[str]:
    """Return the workers that could not be asked and are still registered."""
    away = {one["worker"] for one in before["workers"] if not one["reachable"]}
    return away & {one["worker"] for one in after["workers"]}

"""The cases by their names on the command line, in the order in which they run best."""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from bench.cases import (
    backlog,
    changes,
    commands,
    deadlines,
    filled,
    flood,
    handover,
    http,
    imports,
    lateness,
    lone,
    memory,
    mixed,
    overdue,
    processes,
    start,
    suggestions,
    tables,
    takeover,
)
from bench.report import Report
from bench.rig import Rig
from bench.sizes import Sizes

Case: TypeAlias = Callable[[Rig, Sizes, Report], None]

CASES: Final[Mapping[str, Case]] = {
    # These two start workers of new groups, which read the topics from their beginning.
    "start": start.run,
    "memory": memory.run,
    "post_student": http.post_student,
    "post_keyed": http.post_keyed,
    "post_class": http.post_class,
    "get_student": http.get_student,
    "get_class": http.get_class,
    "get_roster": http.get_roster,
    "get_classes": http.get_classes,
    "get_class_unchanged": http.get_class_unchanged,
    "put_class_match": http.put_class_match,
    "suggestions": suggestions.run,
    "student_create": commands.student_create,
    "roster_register": commands.roster_register,
    "processes": processes.run,
    "imports": imports.run,
    "changes": changes.run,
    "lone": lone.run,
    "backlog": backlog.run,
    "backlog_1m": backlog.memory,
    "flood": flood.run,
    "overdue": overdue.run,
    "deadlines": deadlines.run,
    "lateness": lateness.run,
    "filled": filled.run,
    "mixed": mixed.run,
    "table_10k": tables.small,
    "table_100k": tables.middling,
    "table_1m": tables.large,
    "handover": handover.run,
    "takeover_2": takeover.two,
    "takeover_3": takeover.three,
}

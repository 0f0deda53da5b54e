"""Writes classes and their rosters to files, which `reading` reads again.

The same classes make the same bytes. Students and classes without an external id have our own id in
its place, by which an import finds them. UNKNOWN students are in no file.
"""

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final
from uuid import UUID, uuid5

from rules.courses import COURSES
from rules.imports import oneroster as members
from rules.imports.cells import harmless
from rules.imports.headings import Column
from rules.models import ClassRecord, StudentRecord
from rules.text import joined

#: Excel takes a file without it for one in the country's old encoding.
_MARK: Final = "\ufeff"
_FIRST: Final = (1980, 1, 1, 0, 0, 0)
#: What the ids of lines are made from that mean nothing here.
_SPACE: Final = UUID("6a1c1d52-7d2b-5c0e-9d0f-0c5a6f1f9b6e")
_ORG: Final = str(uuid5(_SPACE, "org"))

_STATUS: Final = ("status", "dateLastModified")
_ORGS: Final = ("sourcedId", *_STATUS, "name", "type", "identifier", "parentSourcedId")
_SESSIONS: Final = (
    *("sourcedId", *_STATUS, "title", "type", "startDate", "endDate"),
    *("parentSourcedId", "schoolYear"),
)
_COURSES: Final = (
    *("sourcedId", *_STATUS, "schoolYearSourcedId", "title", "courseCode"),
    *("grades", "orgSourcedId", "subjects", "subjectCodes"),
)
_CLASSES: Final = (
    *("sourcedId", *_STATUS, "title", "grades", "courseSourcedId", "classCode", "classType"),
    *("location", "schoolSourcedId", "termSourcedIds", "subjects", "subjectCodes", "periods"),
)
_USERS: Final = (
    *("sourcedId", *_STATUS, "enabledUser", "username", "userIds", "givenName", "familyName"),
    *("middleName", "identifier", "email", "sms", "phone", "agentSourcedIds", "grades"),
    *("password", "userMasterIdentifier", "resourceSourcedIds", "preferredGivenName"),
    *("preferredMiddleName", "preferredFamilyName", "primaryOrgSourcedId", "pronouns"),
    members.LEGAL_NAME,
)
_ROLES: Final = (
    *("sourcedId", *_STATUS, "userSourcedId", "roleType", "role", "beginDate", "endDate"),
    *("orgSourcedId", "userProfileSourcedId"),
)
_ENROLLMENTS: Final = (
    *("sourcedId", *_STATUS, "classSourcedId", "schoolSourcedId", "userSourcedId", "role"),
    *("primary", "beginDate", "endDate"),
)
_ABSENT: Final = (
    *("categories", "classResources", "courseResources", "demographics"),
    *("lineItemLearningObjectiveIds", "lineItems", "lineItemScoreScales", "resources"),
    *("resultLearningObjectiveIds", "results", "resultScoreScales", "scoreScales"),
    *("userProfiles", "userResources"),
)


@dataclass(frozen=True, slots=True)
class ExportClass:
    """A class, and who is in it."""

    record: ClassRecord
    students: Sequence[StudentRecord]

    @property
    def source(self) -> str:
        """What the class is called in a file."""
        return self.record.external_id or str(self.record.id)

    @property
    def members(self) -> list[StudentRecord]:
        """The students without UNKNOWN."""
        return [student for student in self.students if not student.is_placeholder]


def csv_roster(roster: ExportClass) -> bytes:
    """Return the roster of a class as CSV."""
    return csv_classes([roster])


def csv_classes(classes: Sequence[ExportClass]) -> bytes:
    """Return the rosters of classes as CSV; a class without students has a line without one."""
    return (_MARK + _csv(list(Column), _lines(classes))).encode()


def _lines(classes: Iterable[ExportClass]) -> Iterator[Sequence[str]]:
    for one in classes:
        of_class = (one.record.name, one.source, one.record.course_code)
        for student in one.members:
            name = student.name
            yield (
                *(*of_class, name.first_name, name.last_name, name.legal_full_name),
                *(student.email or "", _source(student)),
            )
        if not one.members:
            yield (*of_class, *[""] * (len(Column) - len(of_class)))


def _source(student: StudentRecord) -> str:
    return student.external_id or str(student.id)


def _csv(heading: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(heading)
    writer.writerows([cell and harmless(cell) for cell in line] for line in lines)
    return text.getvalue()


def oneroster(classes: Sequence[ExportClass], on: date) -> bytes:
    """Return classes as a OneRoster 1.2 zip file, of the school year that a day is in."""
    year = on.year + (on.month > 6)  # noqa: PLR2004  # July begins the next one
    students = {student.id: student for one in classes for student in one.members}
    files: dict[str, tuple[Sequence[str], list[Sequence[str]]]] = {
        "academicSessions": (_SESSIONS, [_session(year)]),
        "orgs": (_ORGS, [(_ORG, "", "", "HuleEdu", "school", "", "")]),
        "courses": (_COURSES, _courses(classes, year)),
        "classes": (_CLASSES, [_class(one, year) for one in classes]),
        "users": (_USERS, [_user(student) for student in students.values()]),
        "roles": (_ROLES, [_role(student) for student in students.values()]),
        "enrollments": (_ENROLLMENTS, [*_enrollments(classes)]),
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(_entry("manifest"), _csv(("propertyName", "value"), _manifest(files)))
        for name, (heading, lines) in files.items():
            archive.writestr(_entry(name), _csv(heading, lines))
    return packed.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    """Return a member's entry; the time would make other bytes each time."""
    info = zipfile.ZipInfo(f"{name}.csv", _FIRST)
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def _manifest(files: Iterable[str]) -> list[tuple[str, str]]:
    return [
        ("manifest.version", "1.0"),
        ("oneroster.version", members.VERSION),
        *((f"file.{name}", "bulk") for name in files),
        *((f"file.{name}", "absent") for name in _ABSENT),
        ("source.systemName", "HuleEdu Class Management Service"),
        ("source.systemCode", "class-management"),
    ]


def _year_id(year: int) -> str:
    return str(uuid5(_SPACE, f"year/{year}"))


def _session(year: int) -> Sequence[str]:
    title = f"{year - 1}/{year}"
    begin, end = f"{year - 1}-07-01", f"{year}-06-30"
    return (_year_id(year), "", "", title, "schoolYear", begin, end, "", str(year))


def _course_id(code: str) -> str:
    return str(uuid5(_SPACE, f"course/{code}"))


def _courses(classes: Sequence[ExportClass], year: int) -> list[Sequence[str]]:
    codes = sorted({one.record.course_code for one in classes})
    return [
        (_course_id(code), "", "", _year_id(year), COURSES[code].name, code, "", _ORG, "", "")
        for code in codes
    ]


def _class(one: ExportClass, year: int) -> Sequence[str]:
    course = _course_id(one.record.course_code)
    return (
        *(one.source, "", "", one.record.name, "", course, "", "scheduled"),
        *("", _ORG, _year_id(year), "", "", ""),
    )


def _user(student: StudentRecord) -> Sequence[str]:
    name, source = student.name, _source(student)
    legal = name.legal_full_name
    is_more = legal != joined(name.first_name, name.last_name)
    return (
        *(source, "", "", "true", source, "", name.first_name, name.last_name, "", ""),
        *(student.email or "", *[""] * 10, _ORG, "", legal if is_more else ""),
    )


def _role(student: StudentRecord) -> Sequence[str]:
    role = str(uuid5(_SPACE, f"role/{student.id}"))
    return (role, "", "", _source(student), "primary", members.STUDENT, "", "", _ORG, "")


def _enrollments(classes: Sequence[ExportClass]) -> Iterator[Sequence[str]]:
    for one in classes:
        for student in one.members:
            enrolled = str(uuid5(_SPACE, f"enrollment/{one.record.id}/{student.id}"))
            yield (
                *(enrolled, "", "", one.source, _ORG, _source(student)),
                *(members.STUDENT, "false", "", ""),
            )

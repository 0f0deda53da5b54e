"""Who is much like the students that a plan creates: worth a look before it is applied."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final
from uuid import UUID

from rules.imports.drafts import Draft, Person
from rules.imports.near import Lookalikes, same_name
from rules.imports.plans import Notice, NoticeCode

#: Of a name, as many lines of one file are remembered.
_MOST: Final = 3


class Namesakes:
    """Finds students, and lines of the same file, that are much like a student to be created."""

    def __init__(self, draft: Draft) -> None:
        self._known = Lookalikes[UUID]()
        self._lines: defaultdict[str, list[Person]] = defaultdict(list)
        made = [person for person in draft.people.values() if person.before is None]
        if made:
            for student in draft.state.students.values():
                self._known.add(student.id, student.name, student.email)
        for person in made:
            some = self._lines[same_name(person.after.name)]
            if len(some) < _MOST:
                some.append(person)

    def of(self, person: Person) -> Iterator[Notice]:
        """Yield what is worth a look about a student to be created."""
        for student_id, detail in self._known.like(person.after.name, person.after.email):
            yield Notice(NoticeCode.NEAR_DUPLICATE, detail, student_id)
        for other in self._lines[same_name(person.after.name)]:
            ids = {person.after.external_id, other.after.external_id}
            if other is not person and (None in ids or len(ids) == 1):
                detail = f"On {other.home.place} is a new student of the same name."
                line = other.home.row.line
                yield Notice(NoticeCode.NEAR_DUPLICATE, detail, other_line=line)

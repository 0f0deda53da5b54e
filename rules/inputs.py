"""Bodies of HTTP requests, which commands share (docs/contract.md, sections 2 and 3).

Text is kept as written. A name may be in any script but is not blank and has no control characters
(PostgreSQL cannot store NUL, and the others do not belong in a name).
"""

import re
import unicodedata
from typing import Annotated, Final, TypeVar
from uuid import UUID

import email_validator
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from rules.courses import COURSES
from rules.errors import FieldError, MultipleCoursesError, ValidationFailedError
from rules.identity import CONTROL
from rules.ids import new_id
from rules.models import (
    ClassChange,
    EmailChange,
    HumanDecision,
    NewClass,
    NewStudent,
    PersonName,
    StudentChange,
)

MAX_NAME_PART: Final = 255
MAX_FULL_NAME: Final = 600
MAX_CLASS_NAME: Final = 100
MAX_CLASSES_PER_STUDENT: Final = 1000
MAX_DECISIONS: Final = 10_000

#: Plainly valid addresses: a thousand students take a third of the time of a check by the RFCs.
#: The library judges all others.
_PLAIN_ADDRESS: Final = re.compile(
    r"(?=.{3,254}\Z)(?=.{1,64}@)[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*"
    r"@([A-Za-z0-9]{1,63}\.){1,5}[A-Za-z]{2,24}",
    re.ASCII,
)

#: What follows the last dot of a domain, in any form that the library accepts (UTS 46).
_LAST_LABEL: Final = re.compile("(?<=[.\u3002\uff0e\uff61])[^.\u3002\uff0e\uff61]+\\Z")


def _readable(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("blank", "Must not be blank.")
    if CONTROL.search(text):
        raise PydanticCustomError("control_character", "Must not hold control characters.")
    return text


def _address(text: str) -> str:
    if _PLAIN_ADDRESS.fullmatch(text):
        return text
    try:
        email_validator.validate_email(_of_public_domain(text), check_deliverability=False)
    except email_validator.EmailNotValidError:
        raise PydanticCustomError("email", "Must be an email address.") from None
    return text


def _of_public_domain(address: str) -> str:
    """Return an address of the same form whose domain the library does not reserve.

    Schools use names of their own networks; whether mail arrives there is not checked here.
    """
    label = _LAST_LABEL.search(address)
    if label is None:
        return address
    # The library's mapping of domains (UTS 46) drops combining marks that NFKC keeps.
    plain = "".join(c for c in label[0] if unicodedata.category(c) != "Mn")
    name = unicodedata.normalize("NFKC", plain).casefold()
    if name not in email_validator.SPECIAL_USE_DOMAIN_NAMES:
        return address
    # About as many bytes as before: the length of an address is limited.
    ordinary = "x" if plain[0].isascii() else "\uff58"
    return address[: label.start()] + label[0].replace(plain[0], ordinary, 1)


NamePart = Annotated[str, StringConstraints(max_length=MAX_NAME_PART), AfterValidator(_readable)]
FullName = Annotated[str, StringConstraints(max_length=MAX_FULL_NAME), AfterValidator(_readable)]
ClassName = Annotated[str, StringConstraints(max_length=MAX_CLASS_NAME), AfterValidator(_readable)]
Email = Annotated[str, AfterValidator(_address)]
# `fail_fast`: the first fault is reported, not each of half a million in a hostile body.
ClassIds = Annotated[tuple[UUID, ...], Field(max_length=MAX_CLASSES_PER_STUDENT, fail_fast=True)]
CourseCodes = Annotated[tuple[str, ...], Field(fail_fast=True)]


class Input(BaseModel):
    """Strict about JSON types (no number for a text); unknown members are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class PersonNameInput(Input):
    """PersonNameV1 (docs/contract.md, section 1)."""

    first_name: NamePart
    last_name: NamePart
    legal_full_name: FullName | None = None

    def resolve(self) -> PersonName:
        """Return the name with its legal form filled in."""
        legal = self.legal_full_name or f"{self.first_name} {self.last_name}"
        return PersonName(self.first_name, self.last_name, legal)


class NewClassInput(Input):
    """Body of `POST /v1/classes`."""

    name: ClassName
    course_codes: CourseCodes

    def resolve(self, class_id: UUID | None = None) -> NewClass:
        """Return the class to create, with a new id if none is given."""
        return NewClass(class_id or new_id(), self.name, single_course(self.course_codes))


class ClassChangeInput(Input):
    """Body of `PUT /v1/classes/{class_id}`."""

    name: ClassName | None = None
    course_codes: CourseCodes | None = None

    def resolve(self) -> ClassChange:
        """Return what to change."""
        codes = self.course_codes
        return ClassChange(self.name, None if codes is None else single_course(codes))


class NewStudentInput(Input):
    """Body of `POST /v1/classes/students`."""

    person_name: PersonNameInput
    email: Email | None = None
    class_ids: ClassIds = ()

    def resolve(self, student_id: UUID | None = None, *first: UUID) -> NewStudent:
        """Return the student to create, with a new id if none is given; it also joins `first`."""
        class_ids = tuple(dict.fromkeys((*first, *self.class_ids)))
        return NewStudent(student_id or new_id(), self.person_name.resolve(), self.email, class_ids)


class StudentChangeInput(Input):
    """Body of `PUT /v1/classes/students/{student_id}`; `"email": null` clears the email."""

    person_name: PersonNameInput | None = None
    email: Email | None = None
    add_class_ids: ClassIds = ()
    remove_class_ids: ClassIds = ()

    def resolve(self) -> StudentChange:
        """Return what to change. Raises ValidationFailedError if a class is added and removed."""
        if both := set(self.add_class_ids) & set(self.remove_class_ids):
            index = next(i for i, class_id in enumerate(self.remove_class_ids) if class_id in both)
            fault = FieldError(f"/remove_class_ids/{index}", "This class is also to be added.")
            raise ValidationFailedError("A class cannot be added and removed at once.", [fault])
        return StudentChange(
            name=self.person_name.resolve() if self.person_name else None,
            email=EmailChange(self.email) if "email" in self.model_fields_set else None,
            add_class_ids=tuple(dict.fromkeys(self.add_class_ids)),
            remove_class_ids=tuple(dict.fromkeys(self.remove_class_ids)),
        )


class DecisionInput(Input):
    """One teacher's decision."""

    essay_id: UUID
    student_id: UUID | None = None
    confirmed: bool

    def resolve(self) -> HumanDecision:
        """Return the decision."""
        return HumanDecision(self.essay_id, self.confirmed, self.student_id)


class DecisionsInput(Input):
    """Body of `POST /v1/batches/{batch_id}/student-associations/confirm`."""

    # A list, not a tuple: pydantic then checks the length before the items.
    associations: Annotated[list[DecisionInput], Field(min_length=1, max_length=MAX_DECISIONS)]

    def resolve(self) -> list[HumanDecision]:
        """Return the decisions in the order given."""
        return [decision.resolve() for decision in self.associations]


def single_course(codes: CourseCodes) -> str:
    """Return the one course code of a class.

    Raises ValidationFailedError for none or an unknown one, MultipleCoursesError for several.
    """
    if len(codes) > 1:
        raise MultipleCoursesError
    if not codes:
        fault = FieldError("/course_codes", "Give one course code.")
        raise ValidationFailedError("A class needs a course.", [fault])
    if codes[0] not in COURSES:
        known = ", ".join(COURSES)
        fault = FieldError("/course_codes/0", f"Unknown course code; known are {known}.")
        raise ValidationFailedError("There is no such course.", [fault])
    return codes[0]


InputT = TypeVar("InputT", bound=BaseModel)


def read_json(model: type[InputT], body: bytes) -> InputT:
    """Read a JSON object into `model`. Raises ValidationFailedError with a pointer per fault."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise ValidationFailedError("The body does not fit.", faults_of(error)) from None


def faults_of(error: ValidationError) -> list[FieldError]:
    """Return every fault, with a pointer and without the value."""
    details = error.errors(include_url=False, include_input=False, include_context=False)
    return [FieldError(_pointer(fault["loc"]), fault["msg"]) for fault in details]


def _pointer(location: tuple[int | str, ...]) -> str:
    """Return an RFC 6901 pointer; the whole document is the empty text."""
    escaped = (str(part).replace("~", "~0").replace("/", "~1") for part in location)
    return "".join(f"/{part}" for part in escaped)

"""Bodies of HTTP requests, which commands share (docs/contract.md, sections 2 and 3).

Text is stored as rules.text makes it. A name may be in any script but has no control characters
(PostgreSQL cannot store NUL, and the others do not belong in a name).
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Final, Self, TypeVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from rules.courses import COURSES
from rules.emails import MAX_ADDRESS, domain_of, is_own
from rules.errors import FieldError, MultipleCoursesError, ValidationFailedError
from rules.external_ids import MAX_EXTERNAL_ID, cleaned
from rules.identity import CONTROL
from rules.ids import new_id
from rules.models import (
    ClassChange,
    EmailChange,
    ExternalIdChange,
    HumanDecision,
    NewClass,
    NewStudent,
    PersonName,
    StudentChange,
)
from rules.text import (
    BIDIRECTIONAL,
    MAYBE_EMPTY,
    NO_CONTROLS,
    NOT_BLANK,
    PLAIN_NAME,
    is_visible,
    joined,
    normalised,
    without_blanks,
)

MAX_NAME_PART: Final = 255
MAX_FULL_NAME: Final = 600
MAX_CLASS_NAME: Final = 100
#: Far longer than any code, and far more than the one that a class has: these have errors of
#: their own.
MAX_COURSE_CODE: Final = 100
MAX_COURSE_CODES: Final = 100
MAX_CLASSES_PER_STUDENT: Final = 1000
MAX_DECISIONS: Final = 10_000
#: Faults that an answer points at. A body can have twenty thousand, more than a person reads.
MAX_FAULTS: Final = 100

_SEVERAL_COURSES: Final = "several_courses"
#: Of the faults that pydantic tells in words of Python.
_TEXTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "missing": "Must be given.",
        "json_invalid": "Is not JSON: {error}.",
        "model_type": "Must be an object.",
        "list_type": "Must be a list.",
        "tuple_type": "Must be a list.",
        "too_long": "At most {max_length} items.",
        "too_short": "At least {min_length} is needed.",
        "string_type": "Must be a text.",
        "string_too_long": "At most {max_length} characters.",
        "bool_type": "Must be true or false.",
        "float_type": "Must be a number.",
        "finite_number": "Must be a number.",
        "greater_than_equal": "At least {ge:g}.",
        "less_than_equal": "At most {le:g}.",
        "uuid_parsing": "Must be a UUID.",
        "uuid_type": "Must be a UUID.",
    }
)


def _name(most: int) -> Callable[[str], str]:
    """Return what reads a name of at most that many characters; it may be empty."""

    def read(text: str) -> str:
        if PLAIN_NAME.fullmatch(text):
            return text
        name = normalised(text)
        if CONTROL.search(name):
            raise PydanticCustomError("control_character", "Must not hold control characters.")
        if BIDIRECTIONAL.search(name):
            raise PydanticCustomError("bidirectional", "Must not turn the direction of text.")
        if name and not is_visible(name):
            raise PydanticCustomError("invisible", "Must have a character that can be seen.")
        if len(name) > most:
            raise PydanticCustomError("long_composed", "Must not be so long once composed (NFC).")
        return name

    return read


def _not_empty(name: str) -> str:
    if not name:
        raise PydanticCustomError("blank", "Must not be blank.")
    return name


def _address(text: str) -> str | None:
    address = without_blanks(text)
    if not address:
        return None
    domain = domain_of(address)
    if domain is None:
        raise PydanticCustomError("email", "Must be an email address.")
    if is_own(domain):
        raise PydanticCustomError("own_domain", "Addresses of this domain belong to the service.")
    return address


def _external_id(text: str) -> str | None:
    try:
        return cleaned(text)
    except ValueError:
        raise PydanticCustomError(
            "control_character", "Must not hold control characters."
        ) from None


def _one_known_course(codes: tuple[str, ...]) -> tuple[str, ...]:
    if len(codes) > 1:
        raise PydanticCustomError(_SEVERAL_COURSES, "Give one course code.")
    if not codes:
        raise PydanticCustomError("no_course", "Give one course code.")
    if codes[0] not in COURSES:
        fault = PydanticCustomError(
            "unknown_course", f"Unknown course code; known are {', '.join(COURSES)}."
        )
        raise _within(codes, [0], fault)
    return codes


def _within(
    items: Sequence[object], places: Sequence[int], fault: PydanticCustomError
) -> ValidationError:
    """Return what a validator of a list raises to point at some of the items."""
    lines = [InitErrorDetails(type=fault, loc=(place,), input=items[place]) for place in places]
    return ValidationError.from_exception_data("items", lines)


# A length is checked before anything else looks at a text: pydantic applies what stands left first.
# What validators look at is told to readers of the JSON Schema beside it.
NamePart = Annotated[
    str,
    StringConstraints(max_length=MAX_NAME_PART),
    AfterValidator(_name(MAX_NAME_PART)),
    Field(json_schema_extra={"pattern": MAYBE_EMPTY}),
]
FullName = Annotated[
    str,
    StringConstraints(max_length=MAX_FULL_NAME),
    AfterValidator(_name(MAX_FULL_NAME)),
    Field(json_schema_extra={"pattern": MAYBE_EMPTY}),
]
ClassName = Annotated[
    str,
    StringConstraints(max_length=MAX_CLASS_NAME),
    AfterValidator(_name(MAX_CLASS_NAME)),
    AfterValidator(_not_empty),
    Field(json_schema_extra={"pattern": NOT_BLANK, "minLength": 1}),
]
#: None where the text is blank.
Email = Annotated[
    str,
    StringConstraints(max_length=MAX_ADDRESS),
    AfterValidator(_address),
    Field(json_schema_extra={"anyOf": [{"format": "email"}, {"const": ""}]}),
]
#: None where the text is blank.
ExternalId = Annotated[
    str,
    StringConstraints(max_length=MAX_EXTERNAL_ID),
    AfterValidator(_external_id),
    Field(json_schema_extra={"pattern": NO_CONTROLS}),
]
# `fail_fast`: the first fault is reported, not each of half a million in a hostile body.
ClassIds = Annotated[tuple[UUID, ...], Field(max_length=MAX_CLASSES_PER_STUDENT, fail_fast=True)]
CourseCode = Annotated[
    str,
    StringConstraints(max_length=MAX_COURSE_CODE),
    Field(json_schema_extra={"enum": [*COURSES]}),
]
CourseCodes = Annotated[
    tuple[CourseCode, ...],
    Field(
        max_length=MAX_COURSE_CODES,
        fail_fast=True,
        json_schema_extra={"minItems": 1, "maxItems": 1},
    ),
    AfterValidator(_one_known_course),
]


class Input(BaseModel):
    """Strict about JSON types (no number for a text); unknown members are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class PersonNameInput(Input):
    """PersonNameV1: a person may have one name only."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": [part], "properties": {part: {"pattern": NOT_BLANK}}}
                for part in ("first_name", "last_name")
            ]
        }
    )

    first_name: NamePart = ""
    last_name: NamePart = ""
    legal_full_name: FullName | None = None

    @model_validator(mode="after")
    def _is_a_name(self) -> Self:
        if not self.first_name and not self.last_name:
            raise PydanticCustomError("no_name", "Give a first name, a last name or both.")
        return self

    def resolve(self) -> PersonName:
        """Return the name with its legal form filled in."""
        legal = self.legal_full_name or joined(self.first_name, self.last_name)
        return PersonName(self.first_name, self.last_name, legal)


class NewClassInput(Input):
    """Body of `POST /v1/classes`."""

    name: ClassName
    course_codes: CourseCodes
    external_id: ExternalId | None = None

    def resolve(self, class_id: UUID | None = None) -> NewClass:
        """Return the class to create, with a new id if none is given."""
        return NewClass(class_id or new_id(), self.name, self.course_codes[0], self.external_id)


def _external_id_change(given: Input, external_id: str | None) -> ExternalIdChange | None:
    return ExternalIdChange(external_id) if "external_id" in given.model_fields_set else None


class ClassChangeInput(Input):
    """Body of `PUT /v1/classes/{class_id}`; `"external_id": null` clears the external id."""

    name: ClassName | None = None
    course_codes: CourseCodes | None = None
    external_id: ExternalId | None = None

    def resolve(self) -> ClassChange:
        """Return what to change."""
        return ClassChange(
            name=self.name,
            course_code=self.course_codes[0] if self.course_codes else None,
            external_id=_external_id_change(self, self.external_id),
        )


class NewStudentInput(Input):
    """Body of `POST /v1/classes/students`."""

    person_name: PersonNameInput
    email: Email | None = None
    external_id: ExternalId | None = None
    class_ids: ClassIds = ()

    def resolve(self, student_id: UUID | None = None, *first: UUID) -> NewStudent:
        """Return the student to create, with a new id if none is given; it also joins `first`."""
        class_ids = (*first, *self.class_ids)
        return NewStudent(
            id=student_id or new_id(),
            name=self.person_name.resolve(),
            email=self.email,
            class_ids=tuple(dict.fromkeys(class_ids)) if class_ids[1:] else class_ids,
            external_id=self.external_id,
        )


class StudentChangeInput(Input):
    """Body of `PUT /v1/classes/students/{student_id}`.

    `"email": null` clears the email, `"external_id": null` the external id.
    """

    person_name: PersonNameInput | None = None
    email: Email | None = None
    external_id: ExternalId | None = None
    add_class_ids: ClassIds = ()
    remove_class_ids: ClassIds = ()

    # Of the member and not of the whole, which is not looked at if another member is at fault.
    @field_validator("remove_class_ids", mode="after")
    @classmethod
    def _are_not_added(cls, removed: tuple[UUID, ...], info: ValidationInfo) -> tuple[UUID, ...]:
        added = frozenset(info.data.get("add_class_ids", ()))
        if both := [place for place, class_id in enumerate(removed) if class_id in added]:
            fault = PydanticCustomError("added_too", "This class is also to be added.")
            raise _within(removed, both, fault)
        return removed

    def resolve(self) -> StudentChange:
        """Return what to change."""
        return StudentChange(
            name=self.person_name.resolve() if self.person_name else None,
            email=EmailChange(self.email) if "email" in self.model_fields_set else None,
            external_id=_external_id_change(self, self.external_id),
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


class ConfirmSuggestedInput(Input):
    """Which suggestions are confirmed as they are."""

    min_confidence: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class DecisionsInput(Input):
    """Body of `POST /v1/batches/{batch_id}/student-associations/confirm`."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["associations"], "properties": {"associations": {"minItems": 1}}},
                {
                    "required": ["confirm_suggested"],
                    "properties": {"confirm_suggested": {"type": "object"}},
                },
            ]
        }
    )

    # A list, not a tuple: pydantic then checks the length before the items.
    associations: Annotated[list[DecisionInput], Field(max_length=MAX_DECISIONS)] = []
    confirm_suggested: ConfirmSuggestedInput | None = None

    @property
    def min_confidence(self) -> float | None:
        """From which confidence on suggestions are confirmed; None: only what is listed."""
        return self.confirm_suggested.min_confidence if self.confirm_suggested else None

    def resolve(self) -> list[HumanDecision]:
        """Return the decisions in the order given. Raises ValidationFailedError for none at all."""
        if not self.associations and self.confirm_suggested is None:
            fault = FieldError("/associations", "Give decisions, or `confirm_suggested`.")
            raise ValidationFailedError("Nothing is decided.", [fault])
        return [decision.resolve() for decision in self.associations]


class CorrectionInput(Input):
    """Body of `PUT /v1/batches/{batch_id}/student-associations/{essay_id}`; null is nobody."""

    student_id: UUID | None


class MergeInput(Input):
    """Body of `POST /v1/classes/students/{student_id}/merge`."""

    into: UUID


InputT = TypeVar("InputT", bound=BaseModel)


def read_json(model: type[InputT], body: bytes) -> InputT:
    """Read a JSON object into `model`.

    Raises ValidationFailedError with pointers to the faults, or MultipleCoursesError.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        if is_of_several_courses(error):
            raise MultipleCoursesError from None
        raise ValidationFailedError(
            "The body does not fit.", faults_of(error, MAX_FAULTS)
        ) from None


def is_of_several_courses(error: ValidationError) -> bool:
    """Whether nothing is wrong but that a class has several courses, which has its own error."""
    if error.error_count() > 1:
        return False
    [fault] = error.errors(include_url=False, include_input=False, include_context=False)
    return fault["type"] == _SEVERAL_COURSES


def faults_of(error: ValidationError, most: int) -> list[FieldError]:
    """Return the first faults, with pointers and without the values."""
    details = error.errors(include_url=False, include_input=False)
    return [FieldError(_pointer(fault["loc"]), _text(fault)) for fault in details[:most]]


def _text(fault: ErrorDetails) -> str:
    text = _TEXTS.get(fault["type"])
    return text.format_map(fault.get("ctx", {})) if text else fault["msg"]


def _pointer(location: tuple[int | str, ...]) -> str:
    """Return an RFC 6901 pointer; the whole document is the empty text."""
    escaped = (str(part).replace("~", "~0").replace("/", "~1") for part in location)
    return "".join(f"/{part}" for part in escaped)

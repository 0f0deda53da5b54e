"""Every refusal has a code of the contract and one text."""

import pytest

from rules import errors
from rules.errors import FieldError, ServiceError, ValidationFailedError

# docs/contract.md, section 2, "Errors".
CODES = {
    "VALIDATION_ERROR",
    "MULTIPLE_COURSE_ERROR",
    "COURSE_NOT_FOUND",
    "AUTHENTICATION_REQUIRED",
    "CLASS_NOT_FOUND",
    "STUDENT_NOT_FOUND",
    "BATCH_NOT_FOUND",
    "ESSAY_NOT_FOUND",
    "STUDENT_EMAIL_CONFLICT",
    "EXTERNAL_ID_CONFLICT",
    "BATCH_CONFLICT",
    "PLACEHOLDER_STUDENT",
    "IMPORT_NOT_FOUND",
    "IMPORT_CONFLICT",
    "TOO_LARGE_CHANGE",
    "PRECONDITION_FAILED",
    "TOO_MANY_REQUESTS",
    "IDEMPOTENCY_CONFLICT",
    "PAYLOAD_TOO_LARGE",
    "UNSUPPORTED_MEDIA_TYPE",
    "METHOD_NOT_ALLOWED",
    "NOT_FOUND",
    "RESYNC_REQUIRED",
    "SERVICE_UNAVAILABLE",
    "INTERNAL_ERROR",
}
CLASSES = [
    found
    for found in vars(errors).values()
    if isinstance(found, type) and issubclass(found, ServiceError)
]


@pytest.mark.parametrize("error", CLASSES)
def test_error_has_a_code_of_the_contract_and_its_docstring_as_text(
    error: type[ServiceError],
) -> None:
    assert error.error_code in CODES
    assert error().detail == str(error()) == (error.__doc__ or "").strip()
    assert error("another text").detail == "another text"


def test_faults_are_carried() -> None:
    fault = FieldError("/name", "Must not be blank.")
    assert ValidationFailedError("It does not fit.", [fault]).errors == (fault,)
    assert ValidationFailedError().errors == ()

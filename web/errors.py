"""Errors of the HTTP side alone; the others are in rules.errors."""

from collections.abc import Iterable, Sequence
from http import HTTPStatus

from rules.errors import AuthenticationRequiredError, Cause, ServiceError, UnavailableError


class NotFoundError(ServiceError):
    """There is nothing at this path."""

    error_code = "NOT_FOUND"


class MethodNotAllowedError(ServiceError):
    """The path does not take this method."""

    error_code = "METHOD_NOT_ALLOWED"

    def __init__(self, allowed: Iterable[str]) -> None:
        """Say which methods are `allowed`."""
        super().__init__()
        self.allowed = tuple(sorted(allowed))


class BadRequestError(ServiceError):
    """Not a request that HTTP allows."""

    error_code = "BAD_REQUEST"

    def __init__(self, status: int = HTTPStatus.BAD_REQUEST, detail: str | None = None) -> None:
        """`status` says what is wrong more closely than the error code."""
        super().__init__(detail)
        self.status = HTTPStatus(status)


class PayloadTooLargeError(ServiceError):
    """The body is larger than this path takes."""

    error_code = "PAYLOAD_TOO_LARGE"


class NotAcceptableError(ServiceError):
    """The path answers in no form that `Accept` names."""

    error_code = "NOT_ACCEPTABLE"

    def __init__(self, offered: Sequence[str] = ()) -> None:
        """Say which media types are `offered`."""
        named = f": it has {', '.join(offered)}." if offered else "."
        super().__init__(f"The path answers in no form that `Accept` names{named}")


class UnsupportedMediaTypeError(ServiceError):
    """The body must be JSON in UTF-8: `Content-Type: application/json`."""

    error_code = "UNSUPPORTED_MEDIA_TYPE"


class UnsupportedEncodingError(UnsupportedMediaTypeError):
    """The body may be compressed with gzip or deflate only."""


class ForeignFormError(BadRequestError):
    """The form did not come from a page of this service, or that page is more than a day old."""

    def __init__(self) -> None:
        super().__init__(HTTPStatus.FORBIDDEN, (self.__doc__ or "").strip())


class UnidentifiedError(AuthenticationRequiredError):
    """The path needs to know who is calling."""

    def __init__(self, detail: str, challenges: str) -> None:
        """`challenges` says how to (RFC 9110, section 11.6.1)."""
        super().__init__(detail)
        self.challenges = challenges


class NoTokenKeysError(UnavailableError):
    """Whether tokens are good cannot be told yet; try again."""

    cause = Cause.JWKS


class DeadlineExceededError(UnavailableError):
    """The answer took too long and was given up; try again."""

    cause = Cause.DEADLINE


class TooManyConnectionsError(UnavailableError):
    """The service has as many connections as it can take; try again."""

    cause = Cause.CLIENTS


class TooManyInFlightError(UnavailableError):
    """The service has as many requests under way as it can take; try again."""

    cause = Cause.REQUESTS


class TooManyStreamsError(UnavailableError):
    """The service has as many streams open as it can take, or stops; try again."""

    cause = Cause.REQUESTS


class WorkersUnreachableError(UnavailableError):
    """The worker that holds this part of the table does not answer right now; try again."""

    cause = Cause.WORKERS

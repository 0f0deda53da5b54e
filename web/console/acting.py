"""What operators change, only while they have switched acting on; the log says who did it."""

from http import HTTPStatus
from typing import Final

from telemetry.logs import get_logger
from web.calls import Call
from web.console.sessions import OPERATOR, Operator
from web.errors import BadRequestError

_log: Final = get_logger(__name__)


class NotActingError(BadRequestError):
    """Nothing is changed from here until you switch acting on."""

    def __init__(self) -> None:
        super().__init__(HTTPStatus.FORBIDDEN, (self.__doc__ or "").strip())


def operator_of(call: Call) -> Operator:
    """Return the operator who asks; a page of operators has one."""
    operator: Operator = call.request[OPERATOR]
    return operator


def check_acting(call: Call) -> Operator:
    """Return the operator, who may act. Raises NotActingError."""
    operator = operator_of(call)
    if not operator.is_acting:
        raise NotActingError
    return operator


def acting(call: Call, act: str, **details: object) -> Operator:
    """Note in the log who does what; `details` are ids and counts. Raises NotActingError."""
    operator = check_acting(call)
    _log.info("operator acts", act=act, operator=operator.name, **details)
    return operator


def looking(call: Call, what: str, **details: object) -> None:
    """Note in the log who looks at what may be about people; `details` are ids."""
    _log.info("operator looks", what=what, operator=operator_of(call).name, **details)


def acted(call: Call, act: str, **details: object) -> None:
    """Note in the log what came of an act; `details` are ids and counts."""
    _log.info("operator acted", act=act, operator=operator_of(call).name, **details)

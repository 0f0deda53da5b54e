"""The client sends again what may help, as often as it has patience, and the same each time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

import httpx
import pytest
from class_management_client import (
    BusyError,
    ChangedMeanwhileError,
    ClassManagement,
    ConflictError,
    NoAnswerError,
    Patience,
    ProblemError,
)
from hypothesis import given
from hypothesis import strategies as st

COURSES = httpx.Response(200, json={"courses": []})
MADE = httpx.Response(
    201,
    headers={"ETag": '"a"'},
    json={
        "id": "019ad3c1-5a10-7d42-9c1f-3b8e60a1f701",
        "name": "7A",
        "course_code": "SV1",
        "student_count": 0,
        "created_at": "2026-09-01T08:00:00Z",
        "updated_at": "2026-09-01T08:00:00Z",
        "colour": "a member of a later version",
    },
)
BROKEN = httpx.ReadError("the connection broke")


def refused(status: int, code: str = "", **headers: str) -> httpx.Response:
    return httpx.Response(
        status,
        headers={"Content-Type": "application/problem+json", **headers},
        json={"error_code": code, "detail": "No.", "status": status},
    )


UNDER_WAY = refused(409, "IDEMPOTENCY_CONFLICT", **{"Retry-After": "1"})
BUSY = refused(503, "SERVICE_UNAVAILABLE", **{"Retry-After": "7"})
BY_A_PROXY = httpx.Response(502, text="<html>Bad gateway</html>")


@dataclass(frozen=True)
class Asked:
    """A request as it was when it was sent: it is the same object at each attempt."""

    headers: Mapping[str, str]
    content: bytes


@dataclass
class Script:
    """Answers as it is written, and keeps what was asked."""

    answers: list[httpx.Response | Exception]
    asked: list[Asked] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(Asked(httpx.Headers(request.headers.raw), request.content))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass(frozen=True)
class Hurried(Patience):
    """Waits for nobody, and keeps for how long it was asked to."""

    waits: list[float] = field(default_factory=list)

    def pause(self, attempt: int, asked: float) -> float:
        assert attempt == len(self.waits)
        self.waits.append(asked)
        return 0


def client(script: Script, patience: Patience | None = None) -> ClassManagement:
    service = ClassManagement("http://service.example", "lärare 1", patience=patience or Hurried())
    service._http._transport = httpx.MockTransport(script)
    return service


async def create(script: Script, patience: Patience | None = None) -> str:
    async with client(script, patience) as service:
        return (await service.classes.create("7A", "SV1")).name


@pytest.mark.parametrize(
    "answer", [BROKEN, BUSY, UNDER_WAY, BY_A_PROXY, refused(408), refused(429), refused(504)]
)
async def test_what_may_help_is_sent_again_as_it_was(answer: httpx.Response | Exception) -> None:
    script = Script([answer, answer, MADE])
    assert await create(script) == "7A"
    first, *others = script.asked
    assert others == [first, first]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refused(400, "VALIDATION_ERROR"), ProblemError),
        (refused(409, "BATCH_CONFLICT"), ConflictError),
        (refused(412, "PRECONDITION_FAILED"), ChangedMeanwhileError),
        (refused(422, "IDEMPOTENCY_CONFLICT"), ProblemError),
        (refused(500, "INTERNAL_ERROR"), ProblemError),
        (httpx.Response(302), ProblemError),
    ],
)
async def test_what_cannot_help_is_not(answer: httpx.Response, error: type[Exception]) -> None:
    script = Script([answer])
    with pytest.raises(error):
        await create(script)
    assert len(script.asked) == 1


@pytest.mark.parametrize(
    ("answer", "error"), [(BROKEN, NoAnswerError), (BUSY, BusyError), (BY_A_PROXY, ProblemError)]
)
async def test_patience_has_an_end(
    answer: httpx.Response | Exception, error: type[Exception]
) -> None:
    script = Script([answer] * 3)
    with pytest.raises(error):
        await create(script, Hurried(attempts=3))
    assert script.answers == []


async def test_it_waits_at_least_as_long_as_it_is_asked_to() -> None:
    patience = Hurried()
    odd = refused(503, **{"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"})
    await create(Script([BUSY, BROKEN, UNDER_WAY, odd, MADE]), patience)
    assert patience.waits == [7, 0, 1, 0]


@given(attempt=st.integers(0, 60), asked=st.floats(0, 100))
def test_pauses_grow_to_a_limit_and_are_never_shorter_than_asked_for(
    attempt: int, asked: float
) -> None:
    patience = Patience()
    pause = patience.pause(attempt, asked)
    assert asked <= pause <= asked + min(patience.most_seconds, 0.2 * 2**attempt)


async def test_each_call_has_a_key_and_a_correlation_id_of_its_own_and_reads_have_no_key() -> None:
    script = Script([MADE, MADE, MADE, COURSES])
    async with client(script) as service:
        await service.classes.create("7A", "SV1")
        await service.classes.create("7A", "SV1")
        await service.classes.create("7A", "SV1", key="mine")
        await service.courses()
    keys = [request.headers.get("Idempotency-Key") for request in script.asked]
    assert keys[2:] == ["mine", None]
    assert len(set(keys)) == 4
    assert len({request.headers["X-Correlation-ID"] for request in script.asked}) == 4
    assert {request.headers["X-User-ID"] for request in script.asked} == {"l%C3%A4rare%201"}


async def test_a_token_is_asked_for_at_each_attempt() -> None:
    tokens = iter(["old", "new"])
    script = Script([BROKEN, COURSES])
    service = ClassManagement(
        "http://service.example", "t", token=lambda: next(tokens), patience=Hurried()
    )
    service._http._transport = httpx.MockTransport(script)
    async with service:
        await service.courses()
    sent = [request.headers["Authorization"] for request in script.asked]
    assert sent == ["Bearer old", "Bearer new"]


async def test_a_refusal_says_what_is_known_of_it() -> None:
    answer = refused(400, "VALIDATION_ERROR", **{"X-Correlation-ID": "of the request"})
    with pytest.raises(ProblemError) as refusal:
        await create(Script([answer]))
    error = refusal.value
    assert (error.status, error.code, error.detail) == (400, "VALIDATION_ERROR", "No.")
    assert (error.correlation_id, error.faults, error.student_id) == ("of the request", (), None)


def conditions(asked: Iterable[Asked]) -> list[str | None]:
    return [request.headers.get("If-Match") for request in asked]


async def test_an_edit_begins_again_with_what_it_has_read_again() -> None:
    stale = refused(412, "PRECONDITION_FAILED")
    newer = httpx.Response(200, headers={"ETag": '"b"'}, json=MADE.json())
    script = Script([MADE, stale, newer, newer])
    async with client(script) as service:
        await service.classes.edit(UUID(int=1), lambda found: {"name": f"{found.name}!"})
    assert conditions(script.asked) == [None, '"a"', None, '"b"']
    assert len({request.headers.get("Idempotency-Key") for request in script.asked[1::2]}) == 2

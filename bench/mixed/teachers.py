"""Teachers over HTTP: mostly reads, some writes, and a few deletions."""

import random
import time
from collections import deque
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final
from uuid import uuid4

import aiohttp
import orjson

from bench import seed
from bench.mixed.tally import Tally

CLASSES: Final = "/v1/classes"
STUDENTS: Final = f"{CLASSES}/students"
SHOWN_BYTES: Final = 300

Act = Callable[[int], Coroutine[Any, Any, None]]


class Teachers:
    """Sends requests and checks the answers.

    It changes and deletes only what it created, with one request at a time for each.
    """

    def __init__(self, session: aiohttp.ClientSession, tally: Tally) -> None:
        """Take a session with the service's address and the teacher's id."""
        self._session = session
        self._tally = tally
        self._students: deque[str] = deque()
        self._classes: deque[str] = deque()
        shares: dict[Act, int] = {
            self._get_student: 30,
            self._get_class: 15,
            self._get_roster: 10,
            self._list_classes: 5,
            self._post_student: 18,
            self._post_class: 6,
            self._put_student: 5,
            self._put_class: 3,
            self._delete_student: 5,
            self._delete_class: 3,
        }
        self._acts = [act for act, share in shares.items() for _ in range(share)]
        random.Random(0).shuffle(self._acts)

    async def act(self, number: int) -> None:
        """Send the next request."""
        act = self._acts[number % len(self._acts)]
        # At the beginning nothing can be changed or deleted: create instead.
        if act in (self._put_student, self._delete_student) and not self._students:
            act = self._post_student
        if act in (self._put_class, self._delete_class) and not self._classes:
            act = self._post_class
        await act(number)

    async def ask(
        self, method: str, path: str, status: HTTPStatus = HTTPStatus.OK, body: object = None
    ) -> Any:  # noqa: ANN401
        """Return the answer's JSON; None, and a fault, if the status is not the expected one."""
        received, text = await self.send(method, path, body)
        if received == status:
            return orjson.loads(text) if text else {}
        if received:
            self.fault(method, path, received, text)
        return None

    async def send(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """Return an answer's status and body; 0, and a fault, if there is none."""
        began = time.perf_counter()
        data = None if body is None else orjson.dumps(body)
        try:
            async with self._session.request(method, path, data=data) as answer:
                text = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            self._tally.fault(f"{method} {path}: {error!r}")
            return 0, b""
        self._tally.answered(time.perf_counter() - began)
        return answer.status, text

    def fault(self, method: str, path: str, status: int, text: bytes) -> None:
        """Note an answer as a fault."""
        shown = text[:SHOWN_BYTES].decode(errors="replace")
        self._tally.fault(f"{method} {path}: {status} {shown}")

    async def _get_student(self, number: int) -> None:
        await self.ask("GET", f"{STUDENTS}/{seed.student_id(number % seed.STUDENTS)}")

    async def _get_class(self, number: int) -> None:
        await self.ask("GET", f"{CLASSES}/{seed.class_id(number % seed.CLASSES)}")

    async def _get_roster(self, number: int) -> None:
        await self.ask("GET", f"{CLASSES}/{seed.class_id(number % seed.CLASSES)}/roster")

    async def _list_classes(self, _: int) -> None:
        await self.ask("GET", CLASSES)

    async def _post_student(self, number: int) -> None:
        body = {
            "person_name": {"first_name": "Đorđe", "last_name": f"Åkerblom {number}"},
            "email": f"{uuid4().hex}@skola.example",
            "class_ids": [seed.growing_class(number)],
        }
        if made := await self.ask("POST", STUDENTS, HTTPStatus.CREATED, body):
            self._students.append(made["id"])

    async def _post_class(self, number: int) -> None:
        body = {"name": f"Klass {number}", "course_codes": ["SV1"]}
        if made := await self.ask("POST", CLASSES, HTTPStatus.CREATED, body):
            self._classes.append(made["id"])

    async def _put_student(self, number: int) -> None:
        body = {"person_name": {"first_name": "Åsa", "last_name": f"Öberg {number}"}}
        await self._put(self._students, STUDENTS, body)

    async def _put_class(self, number: int) -> None:
        await self._put(self._classes, CLASSES, {"name": f"Klass {number} B"})

    async def _put(self, made: deque[str], path: str, body: object) -> None:
        one = made.popleft()
        await self.ask("PUT", f"{path}/{one}", body=body)
        made.append(one)

    async def _delete_student(self, _: int) -> None:
        await self.ask("DELETE", f"{STUDENTS}/{self._students.popleft()}", HTTPStatus.NO_CONTENT)

    async def _delete_class(self, _: int) -> None:
        await self.ask("DELETE", f"{CLASSES}/{self._classes.popleft()}", HTTPStatus.NO_CONTENT)

"""HTTP requests to the service, as a teacher and as another service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

import aiohttp
import orjson
from multidict import CIMultiDictProxy
from prometheus_client.parser import text_string_to_metric_families

from devstack.ports import LOOPBACK
from devstack.rig.service import INTERNAL_KEY
from devstack.rig.waiting import until

#: The patience of a client; the service gives up earlier.
CLIENT_SECONDS: Final = 10.0

# A test searches the logs for it; no other text contains it.
MARK: Final = "zzyzx"


@dataclass(frozen=True)
class Reply:
    """A response, read to its end."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401  # any JSON
        """The body, decoded."""
        return orjson.loads(self.body)


@dataclass(frozen=True)
class Http:
    """A connection to the service."""

    session: aiohttp.ClientSession
    port: int
    host: str = LOOPBACK
    seconds: float = CLIENT_SECONDS
    """How long to wait for an answer."""

    async def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send a request, with `body` as JSON."""
        async with self.session.request(
            method,
            f"http://{self.host}:{self.port}{path}",
            data=None if body is None else orjson.dumps(body),
            headers={"Content-Type": "application/json", **(headers or {})},
            timeout=aiohttp.ClientTimeout(self.seconds),
        ) as response:
            return Reply(response.status, response.headers, await response.read())

    async def internal(self, path: str) -> Reply:
        """Send a GET as another service."""
        key = {"X-Internal-API-Key": INTERNAL_KEY, "X-Service-ID": "essay_lifecycle_service"}
        return await self.send("GET", path, headers=key)

    async def internal_json(self, path: str) -> Any:  # noqa: ANN401  # any JSON
        """Return the body of a GET as another service, which has to succeed."""
        reply = await self.internal(path)
        assert reply.status == 200, reply.body
        return reply.json

    async def health(self, path: str) -> tuple[int, dict[str, Any]]:
        """Return the status and the body of /healthz, /readyz or /livez."""
        reply = await self.send("GET", path)
        return reply.status, reply.json

    async def metric(self, name: str, **labels: str) -> float:
        """Return the value of a series; 0 if there is none."""
        text = (await self.send("GET", "/metrics")).body.decode()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if (sample.name, sample.labels) == (f"class_management_{name}", labels):
                    return float(sample.value)
        return 0.0

    def teacher(self) -> "Teacher":
        """Return a new teacher."""
        return Teacher(self, f"lärare-{uuid4().hex}")


@dataclass(frozen=True)
class Roster:
    """A class and its students, in the order of their creation."""

    class_id: str
    student_ids: Sequence[str]


@dataclass(frozen=True)
class Teacher:
    """Someone who owns classes."""

    http: Http
    id: str

    async def send(self, method: str, path: str, body: object = None) -> Reply:
        """Send a request as this teacher."""
        return await self.http.send(method, path, body, headers={"X-User-ID": quote(self.id)})

    async def done(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401
        """Send a request that has to succeed; return the body."""
        reply = await self.send(method, path, body)
        assert reply.status in {200, 201}, (reply.status, reply.body)
        return reply.json

    async def new_class(self, name: str = f"Klass {MARK}", course: str = "SV1") -> str:
        """Create a class; return its id."""
        body = {"name": name, "course_codes": [course]}
        return str((await self.done("POST", "/v1/classes", body))["id"])

    async def new_student(
        self,
        *class_ids: str,
        first: str = f"Förnamn{MARK}",
        last: str = f"Efternamn{MARK}",
        email: str | None = None,
    ) -> str:
        """Create a student; return its id."""
        name = {"first_name": first, "last_name": last}
        body = {"person_name": name, "email": email, "class_ids": class_ids}
        return str((await self.done("POST", "/v1/classes/students", body))["id"])

    async def new_roster(self, size: int) -> Roster:
        """Create a class with `size` students."""
        class_id = await self.new_class()
        emails = [f"{MARK}.{uuid4().hex}@skola.example" for _ in range(size)]
        return Roster(class_id, [await self.new_student(class_id, email=e) for e in emails])

    async def batch(self, batch_id: str) -> Reply:
        """Request a batch's associations."""
        return await self.send("GET", f"/v1/batches/{batch_id}/student-associations")

    async def stored(self, batch_id: str, essays: int = 1) -> list[dict[str, Any]]:
        """Wait until that number of essays is stored; return the associations."""

        async def look() -> list[dict[str, Any]]:
            reply = await self.batch(batch_id)
            found = reply.json["associations"] if reply.status == 200 else []
            return found if len(found) >= essays else []

        return await until(f"{essays} stored essays of batch {batch_id}", look)

    async def confirm(self, batch_id: str, *decisions: Mapping[str, object]) -> Reply:
        """Decide essays."""
        path = f"/v1/batches/{batch_id}/student-associations/confirm"
        return await self.send("POST", path, {"associations": decisions})


def yes(essay_id: str, student_id: str | None = None) -> dict[str, object]:
    """Return the decision that a suggestion, or another student, is right."""
    named = {"student_id": student_id} if student_id else {}
    return {"essay_id": essay_id, "confirmed": True, **named}


def no(essay_id: str) -> dict[str, object]:
    """Return the decision that a suggestion is wrong."""
    return {"essay_id": essay_id, "confirmed": False}

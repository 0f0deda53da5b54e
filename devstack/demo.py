"""`make demo`: a teacher's day, played against a running service.

Nothing is looked up behind the service's back: the demo talks HTTP as a teacher, Kafka as
the matching service and as whoever reads the events, and Redis as a teacher's browser.
Each run is a teacher of its own, so it can be repeated as often as one likes.
"""

import argparse
import asyncio
import contextlib
import io
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, TypeAlias
from uuid import uuid4

import aiohttp
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError
from redis.asyncio import Redis
from redis.exceptions import RedisError
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from devstack.ports import LOOPBACK
from devstack.run import STACK_ENV
from devstack.stack import PREFIX, RUN_DIR

HOW_TO_START: Final = f"start it with {PREFIX}TIMEOUT_HOURS=0.005 make run"
ARRIVAL_SECONDS: Final = 30.0  # how long anything may take to arrive
CLOCK_SECONDS: Final = 120.0  # for a later deadline nobody wants to wait
PLAIN_WIDTH: Final = 140  # columns where the output is no terminal

SUGGESTED: Final = "huleedu.batch.author.matches.suggested.v1"
CLASS_CREATED: Final = "huleedu.class.created.v1"
STUDENT_CREATED: Final = "huleedu.class.student.created.v1"
CONFIRMED: Final = "huleedu.class.student.associations.confirmed.v1"
TIMEOUT: Final = "huleedu.class.validation.timeout.processed.v1"
NOTIFICATION: Final = "huleedu.notification.teacher.requested.v1"
DEAD_LETTERS: Final = f"{SUGGESTED}.dlt"
READ: Final = (CLASS_CREATED, STUDENT_CREATED, CONFIRMED, TIMEOUT, NOTIFICATION, DEAD_LETTERS)
HEADERS: Final = frozenset({"event_id", "event_type", "correlation_id", "content-type"})

TEACHER: Final = "teacher"
MATCHER: Final = "matching service"
BROWSER: Final = "browser (Redis)"
OTHERS: Final = "others (Kafka)"
NOBODY: Final = ""
COLOURS: Final = {TEACHER: "cyan", MATCHER: "magenta", BROWSER: "green", OTHERS: "yellow"}

#: First name, last name, the part of the email before the @ where the school knows one.
ROSTER: Final[Sequence[tuple[str, str, str | None]]] = (
    ("Åsa", "Öberg", "asa.oberg"),
    ("Björn", "Lindström", "bjorn.lindstrom"),
    ("محمد", "الأحمد", "mohammad.alahmad"),
    ("Nguyễn Thị", "Ánh Tuyết", "tuyet.nguyen"),
    ("Märta", "Åkerblom", "marta.akerblom"),
    ("Zeynep", "Yılmaz", "zeynep.yilmaz"),  # noqa: RUF001
    ("Jürgen", "Groß", "jurgen.gross"),
    ("فاطمة", "الزهراء حسين", "fatima.hussein"),
    ("Łukasz", "Wiśniewski", "lukasz.wisniewski"),
    ("Ebba", "Sjögren", "ebba.sjogren"),
    ("Siobhán", "O'Connor", "siobhan.oconnor"),
    ("Mikael", "Mäkinen", "mikael.makinen"),
    ("Αλέξανδρος", "Παπαδόπουλος", "alex.papadopoulos"),
    ("Олена", "Шевченко", "olena.shevchenko"),
    ("Yusuf", "Cabdullaahi", "yusuf.cabdullaahi"),
    ("Anna-Lena", "Björkqvist", "annalena.bjorkqvist"),
    ("明美", "山田", "akemi.yamada"),
    ("Erik", "Lindström", None),
    ("Trần Văn", "Hùng", None),
    ("Sofia", "García Peña", None),
    ("Liv", "Sørensen", None),
    ("Alva", "Nyström", None),
    ("Carl-Johan", "von Essen", None),
    ("Ḥanna", "Tesfaye", None),
    ("Đorđe", "Petrović", None),
    ("Ines", "Gonçalves", None),
    ("Wilma", "Ek", None),
    ("سارا", "کریمی", None),
    ("Þórunn", "Jónsdóttir", None),
    ("Noah", "af Ugglas", "noah.afugglas"),
)
# How the matching service fares with the essay of the student at that place.
CHOICES_OF_TWO: Final = range(17, 22)
AT_THRESHOLD: Final = range(22, 24)
BELOW_THRESHOLD: Final = range(24, 26)
UNMATCHED: Final = range(26, 29)
FAILED: Final = range(29, 30)
# What the teacher decides before the clock does.
CONFIRMED_AS_IT_IS: Final = range(8)
GIVEN_TO_THE_SECOND: Final = CHOICES_OF_TWO[0]
REJECTED: Final = BELOW_THRESHOLD[-1]
NAMED_BY_THE_TEACHER: Final = UNMATCHED[0]

Json: TypeAlias = dict[str, Any]


class DemoError(Exception):
    """Something expected did not come; the message is one line for the person who looks on."""


@dataclass(frozen=True)
class Addresses:
    """Where the running service and its servers are."""

    http: str
    kafka: str
    redis: str
    internal_api_key: str


@dataclass(frozen=True)
class Student:
    """A student of the class."""

    id: str
    name: str
    email: str | None


@dataclass(frozen=True)
class Event:
    """A message read from Kafka."""

    topic: str
    key: str
    headers: Mapping[str, str]
    value: Json

    @property
    def data(self) -> Json:
        """What the envelope carries."""
        data: Json = self.value["data"]
        return data


class Stage:
    """Prints what happens, each line with its time and with who sees it."""

    def __init__(self, console: Console) -> None:
        """Take where to print to."""
        self._console = console

    def act(self, title: str) -> None:
        """Begin a part of the day."""
        self._console.print()
        self._console.rule(Text(title, style="bold"), align="left")

    def tell(self, who: str, what: str) -> None:
        """Print what somebody sees or does."""
        line = Text.assemble(
            (f"{datetime.now().astimezone():%H:%M:%S}  ", "dim"),
            (f"{who:<17} ", f"bold {COLOURS.get(who, 'white')}"),
            what,
        )
        self._console.print(line, soft_wrap=True)

    def show(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a table."""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self._console.print(table)


class Heard:
    """What has arrived at one side so far; others can wait for more of it."""

    def __init__(self, who: str) -> None:
        """Name the side that hears it."""
        self.items: list[Any] = []
        self._who = who
        self._more = asyncio.Condition()

    async def add(self, item: object) -> None:
        """Take what has just arrived."""
        async with self._more:
            self.items.append(item)
            self._more.notify_all()

    async def wait(
        self, what: str, wanted: Callable[[Any], bool], count: int = 1, seconds: float = 0.0
    ) -> list[Any]:
        """Return the wanted items once there are `count` of them.

        Raises `DemoError` after ARRIVAL_SECONDS, counted from `seconds` ahead.
        """
        limit = ARRIVAL_SECONDS + seconds
        try:
            async with asyncio.timeout(limit), self._more:
                await self._more.wait_for(lambda: len(self._found(wanted)) >= count)
        except TimeoutError:
            came = len(self._found(wanted))
            raise DemoError(
                f"{self._who}: {what}: {came} of {count} arrived within {limit:.0f} s"
            ) from None
        return self._found(wanted)

    def _found(self, wanted: Callable[[Any], bool]) -> list[Any]:
        return [item for item in self.items if wanted(item)]


class Teacher:
    """A teacher's calls."""

    def __init__(self, session: aiohttp.ClientSession, addresses: Addresses, user_id: str) -> None:
        """Take who calls, and where."""
        self._session = session
        self._addresses = addresses
        self._user = {"X-User-ID": user_id}

    async def get(self, path: str) -> Any:  # noqa: ANN401  # whatever JSON the path answers
        """Ask for something that is there."""
        return await self._call("GET", path, self._user, None, http_ok=200)

    async def get_internal(self, path: str) -> Any:  # noqa: ANN401
        """Ask as another service does."""
        key = self._addresses.internal_api_key
        headers = {"X-Internal-API-Key": key, "X-Service-ID": "demo"}
        return await self._call("GET", path, headers, None, http_ok=200)

    async def post(self, path: str, body: Json, http_ok: int = 201) -> Any:  # noqa: ANN401
        """Make or decide something."""
        return await self._call("POST", path, self._user, body, http_ok)

    async def _call(
        self, method: str, path: str, headers: Mapping[str, str], body: Json | None, http_ok: int
    ) -> Any:  # noqa: ANN401
        url = self._addresses.http + path
        async with self._session.request(method, url, headers=headers, json=body) as answer:
            text = await answer.text()
            if answer.status != http_ok:
                raise DemoError(f"{method} {path} answered {answer.status}, not {http_ok}: {text}")
            return orjson.loads(text)


class Day:
    """The teacher's day."""

    def __init__(
        self, stage: Stage, teacher: Teacher, producer: AIOKafkaProducer, teacher_id: str
    ) -> None:
        """Take the means; `browser` and `others` are filled while the day goes on."""
        self.teacher_id = teacher_id
        self.batch_id = str(uuid4())
        self.browser = Heard(BROWSER)
        self.others = Heard(OTHERS)
        self._stage = stage
        self._teacher = teacher
        self._producer = producer
        self._class_id = ""
        self._students: list[Student] = []
        self._essays = [str(uuid4()) for _ in ROSTER]

    @property
    def _associations_path(self) -> str:
        return f"/v1/batches/{self.batch_id}/student-associations"

    async def play(self) -> None:
        """Play it from beginning to end. Raises `DemoError`."""
        self._stage.act("1. A new class")
        await self._make_class()
        await self._enrol()
        self._stage.act("2. Essays come in, and the matching service knows most of the authors")
        await self._suggest()
        self._stage.act("3. The teacher looks and decides some of it")
        confirm_by = await self._look()
        await self._decide(confirm_by)
        waiting = (confirm_by - datetime.now(UTC)).total_seconds()
        if waiting <= CLOCK_SECONDS:
            self._stage.act("4. The clock decides the rest")
            await self._await_clock(max(waiting, 0.0))
        else:
            self._stage.act("4. The clock would decide the rest")
            self._say_how_to_see_the_clock(waiting)
        self._stage.act("5. What other services have read from Kafka")
        await self._show_events(decided=waiting <= CLOCK_SECONDS)
        self._stage.act("6. Whose essays they are, as the result service asks for it")
        await self._show_names(decided=waiting <= CLOCK_SECONDS)

    async def hear_browser(self, message: Json) -> None:
        """Take what Redis pushed. Each student's joining is counted, not printed."""
        kind = message["event"]
        if kind != "student_added_to_class":
            data = message["data"]
            deadline = f", by {_clock(data['deadline'])}" if data.get("deadline") else ""
            action = f"; action required{deadline}" if data.get("action_required") else ""
            text = f"{kind} ({data['priority']}): {data.get('message', '')}{action}"
            self._stage.tell(BROWSER, text)
        await self.browser.add(message)

    # --- the acts -----------------------------------------------------------------------------

    async def _make_class(self) -> None:
        body = {"name": "Svenska 1, SA26b", "course_codes": ["SV1"]}
        made = await self._teacher.post("/v1/classes", body)
        self._class_id = made["id"]
        self._stage.tell(TEACHER, f"makes the class {made['name']!r} ({made['course_code']})")
        await self._pushed("class_created")

    async def _enrol(self) -> None:
        began = time.monotonic()
        self._students = [await self._make_student(*person) for person in ROSTER]
        took = time.monotonic() - began
        text = f"enrols {len(self._students)} students, one POST each, in {took:.2f} s:"
        self._stage.tell(TEACHER, text)
        for first in range(0, len(self._students), 6):
            self._stage.tell(NOBODY, ", ".join(s.name for s in self._students[first : first + 6]))
        pushed = await self._pushed("student_added_to_class", len(ROSTER))
        last = pushed[-1]["data"].get("message", "")
        self._stage.tell(BROWSER, f"student_added_to_class, {len(pushed)} times; the last: {last}")
        seen = await self._teacher.get(f"/v1/classes/{self._class_id}")
        if seen["student_count"] != len(ROSTER):
            raise DemoError(f"the class has {seen['student_count']} students, not {len(ROSTER)}")
        self._stage.tell(TEACHER, f"reads the class back: {seen['student_count']} students")

    async def _make_student(self, first: str, last: str, mailbox: str | None) -> Student:
        email = f"{mailbox}@skola.example" if mailbox else None
        body = {
            "person_name": {"first_name": first, "last_name": last},
            "email": email,
            "class_ids": [self._class_id],
        }
        made = await self._teacher.post("/v1/classes/students", body)
        return Student(made["id"], made["full_name"], email)

    async def _suggest(self) -> None:
        results = [self._match(place) for place in range(len(ROSTER))]
        message = suggested_event(self.batch_id, self._class_id, results)
        key, value = self.batch_id.encode(), orjson.dumps(message)
        await self._producer.send_and_wait(SUGGESTED, value, key=key)
        text = (
            f"writes a batch of {len(results)} essays ({len(value):,} bytes): "
            f"{CHOICES_OF_TWO.start} exact, {len(CHOICES_OF_TWO)} with a choice of two, "
            f"{len(AT_THRESHOLD)} at 0.70, {len(BELOW_THRESHOLD)} at 0.69, "
            f"{len(UNMATCHED)} without a match, {len(FAILED)} failed"
        )
        self._stage.tell(MATCHER, text)
        await self._pushed("student_matches_suggested")

    def _match(self, place: int) -> Json:
        """Return what the matching service says of the essay of the student at that place."""
        essay = match_result(self._essays[place], place)
        students = self._students
        if place in FAILED:
            return essay | {"no_match_reason": "Processing error: content service answered 503"}
        if place in UNMATCHED:
            return essay | {"no_match_reason": "No matches found"}
        if place in CHOICES_OF_TWO:
            second = students[place - len(CHOICES_OF_TWO)]
            proposed = [(second, 0.74, "name_fuzzy"), (students[place], 0.71, "name_partial")]
        elif place in AT_THRESHOLD:
            proposed = [(students[place], 0.70, "first_last_match")]
        elif place in BELOW_THRESHOLD:
            proposed = [(students[place], 0.69, "name_fuzzy")]
        else:
            proposed = [(students[place], 0.97, "email_exact")]
        return essay | {"suggestions": [suggestion(*proposal) for proposal in proposed]}

    async def _look(self) -> datetime:
        """Show the teacher the batch; return when the clock will decide."""
        batch = await self._teacher.get(self._associations_path)
        found = batch["associations"]
        if len(found) != len(ROSTER):
            raise DemoError(f"the batch has {len(found)} associations, not {len(ROSTER)}")
        text = f"sees {len(found)} essays, to be decided by {_clock(batch['confirm_by'])}:"
        self._stage.tell(TEACHER, text)
        self._show_associations(found)
        return datetime.fromisoformat(batch["confirm_by"])

    async def _decide(self, confirm_by: datetime) -> None:
        """Confirm some, give two to others, reject one."""
        decisions: list[Json] = [
            {"essay_id": self._essays[place], "confirmed": True} for place in CONFIRMED_AS_IT_IS
        ]
        for place in (GIVEN_TO_THE_SECOND, NAMED_BY_THE_TEACHER):
            student = self._students[place].id
            decision = {"essay_id": self._essays[place], "student_id": student, "confirmed": True}
            decisions.append(decision)
        decisions.append({"essay_id": self._essays[REJECTED], "confirmed": False})
        path = f"{self._associations_path}/confirm"
        try:
            answer = await self._teacher.post(path, {"associations": decisions}, http_ok=200)
        except DemoError as error:
            if datetime.now(UTC) < confirm_by:
                raise
            raise DemoError(f"the clock was faster than the teacher: {HOW_TO_START}") from error
        text = (
            f"confirms {len(CONFIRMED_AS_IT_IS)}, gives essay {GIVEN_TO_THE_SECOND + 1} to the "
            f"second choice, names the author of essay {NAMED_BY_THE_TEACHER + 1}, "
            f"rejects essay {REJECTED + 1}"
        )
        self._stage.tell(TEACHER, text)
        counts = {n: answer[f"associations_{n}"] for n in ("confirmed", "rejected", "pending")}
        self._stage.tell(TEACHER, f"is told: {answer['status']}, {_listed(counts)}")

    async def _await_clock(self, waiting: float) -> None:
        text = f"does something else; {waiting:.0f} s until the clock decides"
        self._stage.tell(TEACHER, text)
        await self._pushed("validation_timeout_processed", seconds=waiting)
        await self._pushed("student_associations_confirmed")
        batch = await self._teacher.get(self._associations_path)
        self._stage.tell(TEACHER, "looks again:")
        self._show_associations(batch["associations"])
        counts = Counter(a["validation_status"] for a in batch["associations"])
        if counts["pending_validation"]:
            raise DemoError(f"the batch closed with {_listed(counts)}")

    def _say_how_to_see_the_clock(self, waiting: float) -> None:
        text = f"decides in {waiting / 3600:.1f} hours, which this demo does not wait for."
        self._stage.tell("the clock", text)
        self._stage.tell(NOBODY, f"To see it: stop the service, {HOW_TO_START}, and run this again")

    async def _show_events(self, *, decided: bool) -> None:
        expected = {CLASS_CREATED: 1, STUDENT_CREATED: len(ROSTER)}
        if decided:
            expected |= {CONFIRMED: 1, TIMEOUT: 1}
        for topic, count in expected.items():
            await self._published(topic, count)
        events: list[Event] = self.others.items
        for event in events:
            check(event)
        for first, more in grouped(events):
            self._stage.tell(OTHERS, f"{first.topic}, key {first.key}")
            self._stage.tell(NOBODY, short(first) + (f", and {more} more of these" if more else ""))
        shown = next((e for e in events if e.topic == CONFIRMED), events[0])
        self._stage.tell(OTHERS, f"the headers of {shown.topic}:")
        self._stage.show(("header", "value"), shown.headers.items())

    async def _show_names(self, *, decided: bool) -> None:
        path = f"/internal/v1/batches/{self.batch_id}/student-names"
        found = await self._teacher.get_internal(path)
        names = {f["essay_id"]: f["student_person_name"]["legal_full_name"] for f in found}
        # All but the one that the teacher rejected; without the clock, what the teacher gave away.
        expected = len(ROSTER) - 1 if decided else len(CONFIRMED_AS_IT_IS) + 2
        self._stage.tell(OTHERS, f"GET .../student-names: {len(names)} decided essays")
        essays = enumerate(self._essays, start=1)
        named = [(f"essay {n}", names[essay]) for n, essay in essays if essay in names]
        self._stage.show(("essay", "student") * 2, _side_by_side(named))
        if len(found) != expected:
            raise DemoError(f"student-names has {len(found)} essays, not {expected}")

    # --- what they share ----------------------------------------------------------------------

    async def _pushed(self, kind: str, count: int = 1, seconds: float = 0.0) -> list[Any]:
        """Wait until the browser has seen it. Raises `DemoError`, with a dead letter if any."""
        try:
            return await self.browser.wait(
                kind, lambda message: message["event"] == kind, count, seconds
            )
        except DemoError as error:
            buried = [event for event in self.others.items if event.topic == DEAD_LETTERS]
            reasons = [event.headers.get("dlt-reason", "?") for event in buried]
            raise DemoError(f"{error}; dead letters: {_listed(Counter(reasons))}") from None

    async def _published(self, topic: str, count: int) -> None:
        await self.others.wait(topic, lambda event: event.topic == topic, count)

    def _show_associations(self, associations: Iterable[Json]) -> None:
        number = {essay: str(n) for n, essay in enumerate(self._essays, start=1)}
        columns = ("essay", "student", "confidence", "reasons", "status", "by")
        shown = sorted(associations, key=lambda a: int(number[a["essay_id"]]))
        rows = [
            (
                number[a["essay_id"]],
                a["student_name"] or "-",
                f"{a['confidence_score']:.2f}",
                ", ".join(a["match_reasons"]),
                a["validation_status"],
                a["validation_method"] or "",
            )
            for a in shown
        ]
        self._stage.show(columns, rows)


# --- what the matching service writes ---------------------------------------------------------


def suggested_event(batch_id: str, class_id: str, results: Sequence[Json]) -> Json:
    """Return a BatchAuthorMatchesSuggestedV1 in its envelope."""
    at = datetime.now(UTC).isoformat()
    failed = sum("error" in r["extraction_metadata"] for r in results)
    matched = sum(bool(r["suggestions"]) for r in results)
    return {
        "event_id": str(uuid4()),
        "event_type": SUGGESTED,
        "event_timestamp": at,
        "source_service": "nlp_service",
        "schema_version": 1,
        "correlation_id": str(uuid4()),
        "data_schema_uri": None,
        "data": {
            "event_name": "batch.author.matches.suggested",
            "entity_id": batch_id,
            "entity_type": "batch",
            "parent_id": None,
            "timestamp": at,
            "correlation_id": None,
            "batch_id": batch_id,
            "class_id": class_id,
            "course_code": "SV1",
            "match_results": results,
            "processing_summary": {
                "total_essays": len(results),
                "processed": len(results) - failed,
                "matched": matched,
                "unmatched": len(results) - matched - failed,
                "failed": failed,
            },
            "processing_metadata": {},
        },
        "metadata": None,
    }


def match_result(essay_id: str, place: int) -> Json:
    """Return what is said of every essay, with no suggestion yet."""
    return {
        "essay_id": essay_id,
        "text_storage_id": f"text-storage-{place + 1:04}",
        "filename": f"Elevtext {place + 1}.docx",
        "suggestions": [],
        "no_match_reason": None,
        "extraction_metadata": {"error": "content service answered 503"} if place in FAILED else {},
    }


def suggestion(student: Student, confidence: float, reason: str) -> Json:
    """Return one proposed student."""
    return {
        "student_id": student.id,
        "student_name": student.name,
        "student_email": student.email,
        "confidence_score": confidence,
        "match_reasons": [reason],
        "extraction_metadata": {},
    }


# --- what other services read -----------------------------------------------------------------


def check(event: Event) -> None:
    """Raise `DemoError` where an event's headers are not what the contract says."""
    if event.topic == DEAD_LETTERS:
        raise DemoError(f"the batch was dead-lettered: {event.headers.get('dlt-reason')}")
    if missing := HEADERS - event.headers.keys():
        raise DemoError(f"{event.topic}: no header {', '.join(sorted(missing))}")
    if event.headers["event_id"] != event.value["event_id"]:
        raise DemoError(f"{event.topic}: the header event_id is not the envelope's")


def short(event: Event) -> str:
    """Return an event in a few words."""
    data = event.data
    match event.topic:
        case t if t == CLASS_CREATED:
            return f"{data['class_designation']} {data['course_codes']}"
        case t if t == STUDENT_CREATED:
            return f"{data['first_name']} {data['last_name']}"
        case t if t == CONFIRMED:
            clock = "with" if data["timeout_triggered"] else "without"
            return f"{_listed(data['validation_summary'])}; {clock} the clock"
        case t if t == TIMEOUT:
            kept, guests = data["auto_confirmed_associations"], data["guest_essays"]
            return f"{len(kept)} kept, {len(guests)} given to the UNKNOWN student"
        case _:
            return str(data.get("notification_type", ""))


def grouped(events: Sequence[Event]) -> list[tuple[Event, int]]:
    """Return the first event of each kind, as they came, and how many more there are of it."""
    kinds: dict[tuple[str, str], list[Event]] = {}
    for event in events:
        kinds.setdefault((event.topic, event.data.get("notification_type", "")), []).append(event)
    return [(of_kind[0], len(of_kind) - 1) for of_kind in kinds.values()]


def _listed(counts: Mapping[str, int]) -> str:
    """Return counts as text: `3 confirmed, 1 rejected`."""
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"


def _side_by_side(rows: Sequence[tuple[str, str]]) -> list[tuple[str, ...]]:
    """Return the rows as two columns of rows."""
    half = (len(rows) + 1) // 2
    right = [*rows[half:], *[("", "")] * (2 * half - len(rows))]
    return [(*left, *other) for left, other in zip(rows[:half], right, strict=True)]


def _clock(instant: str) -> str:
    """Return an RFC 3339 instant as the time of day here, with the day where it is not today."""
    local = datetime.fromisoformat(instant).astimezone()
    today = datetime.now().astimezone().date() == local.date()
    return f"{local:%H:%M:%S}" if today else f"{local:%Y-%m-%d %H:%M}"


# --- connections ------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def opened(stage: Stage, addresses: Addresses) -> AsyncIterator[Day]:
    """Connect to everything and listen; what is heard is the day's.

    Raises `DemoError` when the service does not answer.
    """
    teacher_id = f"teacher-{secrets.token_hex(4)}"
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ARRIVAL_SECONDS))
        )
        await _check_ready(session, addresses)
        producer = AIOKafkaProducer(bootstrap_servers=addresses.kafka)
        stack.push_async_callback(producer.stop)
        await producer.start()
        day = Day(stage, Teacher(session, addresses, teacher_id), producer, teacher_id)
        redis = await stack.enter_async_context(Redis.from_url(addresses.redis))
        await _listen_to_redis(stack, redis, day)
        await _listen_to_kafka(stack, addresses.kafka, day)
        yield day


async def _check_ready(session: aiohttp.ClientSession, addresses: Addresses) -> None:
    try:
        async with session.get(f"{addresses.http}/readyz") as answer:
            if answer.status == HTTPStatus.OK:
                return
            said = f"GET /readyz answers {answer.status}"
    except (aiohttp.ClientError, TimeoutError) as error:
        said = str(error) or type(error).__name__
    raise DemoError(f"no service at {addresses.http} ({said}): {HOW_TO_START}")


async def _listen_to_redis(stack: contextlib.AsyncExitStack, redis: Redis, day: Day) -> None:
    """Subscribe as the teacher's browser does, before anything happens."""
    channel = await stack.enter_async_context(redis.pubsub())
    await channel.subscribe(f"ws:{day.teacher_id}")

    async def listen() -> None:
        async for message in channel.listen():
            if message["type"] == "message":
                await day.hear_browser(orjson.loads(message["data"]))

    _run_beside(stack, listen())


async def _listen_to_kafka(stack: contextlib.AsyncExitStack, servers: str, day: Day) -> None:
    """Read every topic of interest from its end on, without a consumer group."""
    consumer = AIOKafkaConsumer(
        *READ, bootstrap_servers=servers, enable_auto_commit=False, fetch_max_wait_ms=100
    )
    stack.push_async_callback(consumer.stop)
    await consumer.start()
    await consumer.seek_to_end()
    for partition in consumer.assignment():
        await consumer.position(partition)
    ours = (day.teacher_id.encode(), day.batch_id.encode())

    async def listen() -> None:
        async for record in consumer:
            if record.value and any(mark in record.value for mark in ours):
                headers = {name: value.decode() for name, value in record.headers}
                key = (record.key or b"").decode()
                event = Event(record.topic, key, headers, orjson.loads(record.value))
                await day.others.add(event)

    _run_beside(stack, listen())


def _run_beside(stack: contextlib.AsyncExitStack, listening: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(listening)

    async def end() -> None:
        task.cancel()
        await asyncio.wait((task,))

    stack.push_async_callback(end)


def read_addresses(path: Path) -> Addresses:
    """Read what `make run` has written. Raises `DemoError` where nothing runs."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        raise DemoError(f"no running service: there is no {path}; {HOW_TO_START}") from None
    values = dict(line.removeprefix(PREFIX).split("=", 1) for line in lines if "=" in line)
    try:
        every = {"0.0.0.0": LOOPBACK, "::": "[::1]"}  # noqa: S104  # listens on all, asked on one
        host = every.get(values["HOST"], values["HOST"])
        return Addresses(
            http=f"http://{host}:{values['PORT']}",
            kafka=values["KAFKA_BOOTSTRAP_SERVERS"],
            redis=values["REDIS_URL"],
            internal_api_key=values["INTERNAL_API_KEY"],
        )
    except KeyError as error:
        raise DemoError(f"{path} lacks {PREFIX}{error.args[0]}; {HOW_TO_START}") from None


async def run(stage: Stage, addresses: Addresses) -> None:
    """Play the day. Raises `DemoError` where it does not go as it should."""
    async with opened(stage, addresses) as day:
        stage.tell(NOBODY, f"The service answers at {addresses.http}.")
        stage.tell(NOBODY, f"Today's teacher is {day.teacher_id}.")
        await day.play()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m devstack.demo", description=__doc__)
    parser.add_argument(
        "--stack-env", type=Path, default=RUN_DIR / STACK_ENV, help="written by make run"
    )
    path = parser.parse_args(arguments).stack_env
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # names in a script that the output lacks
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(highlight=False, width=PLAIN_WIDTH)
    try:
        asyncio.run(run(Stage(console), read_addresses(path)))
    except (DemoError, aiohttp.ClientError, KafkaError, RedisError, OSError) as error:
        print(f"demo: {error or type(error).__name__}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

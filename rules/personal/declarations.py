"""What the service stores of people: a declaration of each table, column, topic and other store.

A test compares the tables with the schema, and the topics with those that there are: what nobody
has thought about fails it. What is said here is what `class-management privacy` prints.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from rules import history, topics
from rules.imports import applying

_DAY_MS: Final = 24 * 3600 * 1000


class Whose(StrEnum):
    """Whose data it is."""

    TEACHER = "teacher"
    """The id of a user, or what a user wrote."""
    STUDENT = "student"
    """A name, an address, an id of another system, or a text that may have one in it."""
    BOTH = "teacher, students"


class Erasing(StrEnum):
    """What becomes of a value when whose it is, is erased."""

    DELETED = "deleted"
    """The row goes."""
    EMPTIED = "emptied"
    """The row stays without the value."""
    REWRITTEN = "rewritten"
    """The value stays without names and addresses."""
    PSEUDONYM = "pseudonym"
    """A random name stands for the user."""
    PUBLISHED = "published"
    """A student's is rewritten. A user's goes with its message, which is published at once."""


@dataclass(frozen=True, slots=True)
class Personal:
    """Personal data in a column."""

    whose: Whose
    erasing: Erasing


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its columns with personal data, and all others. `kept`: how long rows stay."""

    name: str
    kept: str
    personal: Mapping[str, Personal] = field(default_factory=dict)
    others: frozenset[str] = frozenset()

    @property
    def columns(self) -> frozenset[str]:
        """All columns."""
        return self.others | self.personal.keys()

    @property
    def is_personal(self) -> bool:
        """Whether it has personal data."""
        return bool(self.personal)


@dataclass(frozen=True, slots=True)
class Topic:
    """A Kafka topic: whose data its messages may have, None is nobody's, and how long they stay.

    `days` is what `class-management topics create` sets; an operator may have set more.
    """

    name: str
    whose: Whose | None
    days: int


@dataclass(frozen=True, slots=True)
class OtherStore:
    """What is kept elsewhere, and why nothing of it has to be erased."""

    name: str
    why: str


def _table(table: str, kept: str, others: str, /, **personal: Personal) -> Table:
    return Table(table, kept, personal, frozenset(others.split()))


_OWNER_GOES: Final = Personal(Whose.TEACHER, Erasing.DELETED)
_STUDENT_GOES: Final = Personal(Whose.STUDENT, Erasing.DELETED)
_USER: Final = Personal(Whose.TEACHER, Erasing.PSEUDONYM)
_TEXT: Final = Personal(Whose.STUDENT, Erasing.EMPTIED)
_ANSWER: Final = Personal(Whose.BOTH, Erasing.REWRITTEN)
_MESSAGE: Final = Personal(Whose.BOTH, Erasing.PUBLISHED)
_IMPORTS_KEPT: Final = (
    f"{applying.PLAN_KEPT.days} day, {applying.ENDED_KEPT.days} days once applied"
)

_ALL_TABLES: Final = (
    _table("alembic_version", "always", "version_num"),
    _table("courses", "always", "code name language"),
    _table("cursor_keys", "always", "key"),
    _table(
        "classes",
        "until deleted",
        "id course_code version created_at updated_at",
        owner_id=_OWNER_GOES,
        name=_OWNER_GOES,
        external_id=_OWNER_GOES,
    ),
    _table(
        "students",
        "until deleted",
        "id version created_at updated_at is_placeholder",
        # Of an UNKNOWN student, which goes on standing for essays: a pseudonym.
        owner_id=_OWNER_GOES,
        first_name=_STUDENT_GOES,
        last_name=_STUDENT_GOES,
        legal_full_name=_STUDENT_GOES,
        email=_STUDENT_GOES,
        email_key=_STUDENT_GOES,
        keyed_email=_STUDENT_GOES,
        external_id=_STUDENT_GOES,
    ),
    _table(
        "enrollments",
        "until class or student is deleted",
        "class_id student_id",
        owner_id=_OWNER_GOES,
    ),
    _table(
        "batches",
        "always",
        "id class_id correlation_id traceparent created_at closed_at deleted_class_id "
        "timeout_triggered",
    ),
    _table(
        "associations",
        "always",
        "essay_id batch_id suggested_student_id student_id confidence status method "
        "validated_at created_at confirm_by",
        match_reasons=_TEXT,
        filename=_TEXT,
        suggestions=_TEXT,
        validated_by=_USER,
    ),
    _table(
        "association_history",
        "always",
        "essay_id number status method student_id validated_at",
        validated_by=_USER,
    ),
    _table(
        "deleted_classes",
        "INBOX_RETENTION_DAYS",
        "id course_code correlation_id traceparent deleted_at",
        owner_id=_USER,
        deleted_by=_USER,
    ),
    _table(
        "changes",
        f"{history.KEPT_DAYS} days",
        "id at entity entity_id class_id kind version correlation_id xact",
        owner_id=_USER,
        by_user=_USER,
        before=_ANSWER,
        after=_ANSWER,
    ),
    _table(
        "idempotency_keys",
        "24 hours",
        "digest status headers at",
        owner_id=_OWNER_GOES,
        key=_OWNER_GOES,
        body=_ANSWER,
    ),
    _table(
        "outbox_packs",
        "until published",
        "shard id messages created_at",
        content=_MESSAGE,
    ),
    _table(
        "outbox_set_aside",
        "until people decide (class-management outbox)",
        "shard id topic headers created_at reason set_aside_at",
        key=_ANSWER,
        value=_ANSWER,
    ),
    _table(
        "parked",
        "SUGGESTION_RETRY_SECONDS",
        "id event_id batch_id topic partition offset timestamp_ms headers attempts next_try_at "
        "deadline",
        key=_ANSWER,
        value=_ANSWER,
    ),
    _table(
        "feed",
        f"{history.KEPT_DAYS} days",
        "last_sequence xact at ids",
        owner_id=_USER,
    ),
    _table(
        "feed_state",
        "always",
        "only_row epoch sequence floor done target position first_id relation system timeline",
    ),
    _table(
        "imports",
        _IMPORTS_KEPT,
        "id state mode class_id summary undoes version rows_total rows_over created_at expires_at "
        "ended_at next_at correlation_id traceparent",
        owner_id=_OWNER_GOES,
        filename=_ANSWER,
    ),
    _table(
        "import_parts",
        _IMPORTS_KEPT,
        "import_id number class_id fingerprint is_new is_large has_errors taken_out changed size "
        "row_count state reason tries",
    ),
    _table(
        "import_rows",
        _IMPORTS_KEPT,
        "import_id number part kind entity line file class_id student_id rests kept",
        before=_ANSWER,
        after=_ANSWER,
        errors=_ANSWER,
        notices=_ANSWER,
    ),
    _table(
        "import_marks",
        "until the student is deleted",
        "student_id",
        first_name=_STUDENT_GOES,
        last_name=_STUDENT_GOES,
        legal_full_name=_STUDENT_GOES,
        email=_STUDENT_GOES,
        external_id=_STUDENT_GOES,
    ),
    _table(
        "import_class_marks",
        "until the class is deleted",
        "class_id",
        name=_OWNER_GOES,
        external_id=_OWNER_GOES,
    ),
    _table("import_members", "until class or student is deleted", "class_id student_id"),
    _table("inbox", "INBOX_RETENTION_DAYS", "id handled_at delivery"),
    _table("consumer_progress", "always", "consumer_group topic partition next_offset updated_at"),
    _table(
        "dead_letter_decisions",
        "180 days",
        "letter address decision decided_at replay_id outcome reason outcome_at",
    ),
    _table("workers", "until stopped", "worker url partitions version role started_at seen_at"),
    _table(
        "erasures",
        "always; what is erased only until it is",
        "id subject pseudonym counts started_at finished_at",
        subject_id=_USER,
        owner_id=Personal(Whose.TEACHER, Erasing.EMPTIED),
        names=_TEXT,
        essays=_TEXT,
    ),
)

#: Every table of the schema. A partition is its table.
TABLES: Final[Mapping[str, Table]] = {table.name: table for table in _ALL_TABLES}

#: Of topics that have no names and no user's id in them.
_NOBODYS: Final = {topics.TIMERS, topics.dead_letter_topic(topics.TIMERS)}
#: Of topics with users' ids alone.
_TEACHERS: Final = {
    topics.CLASS_CREATED,
    topics.CLASS_UPDATED,
    topics.CLASS_DELETED,
    topics.STUDENT_DELETED,
    topics.ASSOCIATIONS_CONFIRMED,
}


def _whose(topic: str) -> Whose | None:
    if topic in _NOBODYS:
        return None
    return Whose.TEACHER if topic in _TEACHERS else Whose.BOTH


def _days(topic: str) -> int:
    kept = topics.DEAD_LETTER_RETENTION_MS if topic in topics.DEAD_LETTER else topics.RETENTION_MS
    return kept // _DAY_MS


#: Every topic but the changelog: messages cannot be taken back, and go when they are old enough.
TOPICS: Final = tuple(Topic(name, _whose(name), _days(name)) for name in topics.ALL)

OTHERS: Final = (
    OtherStore("RocksDB table and its changelog", "ids of batches and classes, counts, instants"),
    OtherStore("Redis", "nothing is stored: real-time messages are heard once or never"),
    OtherStore("logs, metrics, traces", "neither names nor addresses are written there"),
    OtherStore(
        "backups of PostgreSQL",
        "not the service's: after restoring one, erase again what was erased since it was made",
    ),
)


def topics_with(whose: Whose) -> tuple[Topic, ...]:
    """Return the topics that may have data of a teacher, or of a student."""
    return tuple(topic for topic in TOPICS if topic.whose in (whose, Whose.BOTH))

"""What the AsyncAPI document says of each channel, beside what its models and topics say."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from rules import topics
from rules.commands.orders import CommandName
from rules.identity import MAX_USER_ID

_UUID: Final[Mapping[str, Any]] = {"type": "string", "format": "uuid"}
_USER: Final[Mapping[str, Any]] = {"type": "string", "minLength": 1, "maxLength": MAX_USER_ID}


@dataclass(frozen=True, slots=True)
class Key:
    """The key of a topic's messages: what has one key is in order."""

    description: str
    schema: Mapping[str, Any]

    @property
    def whole(self) -> dict[str, Any]:
        """Its JSON Schema."""
        return {**self.schema, "description": f"{self.description}, as UTF-8 text."}


_CLASS: Final = Key("The class's id", _UUID)
_STUDENT: Final = Key("The student's id", _UUID)
_BATCH: Final = Key("The batch's id", _UUID)


@dataclass(frozen=True, slots=True)
class Channel:
    """A topic: `name` is its key in the document, from which its operations have theirs."""

    name: str
    topic: str
    key: Key
    title: str
    description: str


PUBLISHED: Final = (
    Channel(
        "classCreated",
        topics.CLASS_CREATED,
        _CLASS,
        "Classes created",
        "Over HTTP, or by a command.",
    ),
    Channel(
        "classUpdated",
        topics.CLASS_UPDATED,
        _CLASS,
        "Classes changed",
        "Not written where a request changes nothing.",
    ),
    Channel(
        "classDeleted",
        topics.CLASS_DELETED,
        _CLASS,
        "Classes deleted",
        "Its open batches close within seconds, each with its one event.",
    ),
    Channel(
        "studentCreated",
        topics.STUDENT_CREATED,
        _STUDENT,
        "Students created",
        "The UNKNOWN student of a class among them, when it is first needed.",
    ),
    Channel(
        "studentUpdated",
        topics.STUDENT_UPDATED,
        _STUDENT,
        "Students changed",
        "Joining and leaving classes are changes; what a deleted class takes with it is none.",
    ),
    Channel(
        "studentDeleted",
        topics.STUDENT_DELETED,
        _STUDENT,
        "Students deleted",
        "Also one that was merged into another.",
    ),
    Channel(
        "associationsConfirmed",
        topics.ASSOCIATIONS_CONFIRMED,
        _BATCH,
        "Batches decided",
        "Exactly one event for each batch, when its last pending association is decided. Act on "
        "the first, ignore later ones.",
    ),
    Channel(
        "associationUpdated",
        topics.ASSOCIATION_UPDATED,
        _BATCH,
        "Decisions corrected",
        "One event for each correction, and for each decided essay that a merge of two students "
        "moves.",
    ),
    Channel(
        "timeoutProcessed",
        topics.TIMEOUT_PROCESSED,
        _BATCH,
        "Decided by the clock",
        "Written beside the event of the decided batch where the clock decided any of it.",
    ),
    Channel(
        "notificationRequested",
        topics.NOTIFICATION_REQUESTED,
        Key("The teacher's id", _USER),
        "Notifications to teachers",
        "TeacherNotificationRequestedV1, with a payload for each `notification_type`.",
    ),
    Channel(
        "commandResults",
        topics.COMMAND_RESULTS,
        Key("The command's `event_id`", _UUID),
        "Results of commands",
        "Each command that can be read has one.",
    ),
)

SUGGESTIONS: Final = Channel(
    "matchesSuggested",
    topics.MATCHES_SUGGESTED,
    Key("The batch's id as a rule; nothing rests on it", {"type": "string"}),
    "Match suggestions",
    "Which student an essay is probably by. Members that are not listed are not read: names and "
    "addresses among them.",
)
COMMANDS: Final = Channel(
    "commands",
    topics.COMMANDS,
    Key("The acting user's id: commands with one key take effect in their order", _USER),
    "Commands",
    "What other services ask for in a user's name. Who may write here may act for anyone. An id "
    "in a create makes it idempotent; the same `event_id` again has no second effect.",
)
CONSUMED: Final = (SUGGESTIONS, COMMANDS)

ASKS: Final[Mapping[CommandName, str]] = {
    CommandName.CLASS_CREATE: "Create a class",
    CommandName.CLASS_UPDATE: "Change a class",
    CommandName.CLASS_DELETE: "Delete a class",
    CommandName.STUDENT_CREATE: "Create a student, or have it join",
    CommandName.STUDENT_UPDATE: "Change a student",
    CommandName.STUDENT_DELETE: "Delete a student",
    CommandName.ROSTER_REGISTER: "Create the students of a class, or have them join",
    CommandName.ASSOCIATIONS_CONFIRM: "Decide essays of a batch",
    CommandName.ASSOCIATIONS_CORRECT: "Correct the decision on an essay",
    CommandName.STUDENT_MERGE: "Make one of two students",
}

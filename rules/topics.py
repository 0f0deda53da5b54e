"""The Kafka topics of the contract (docs/contract.md, section 3) and the service's own."""

from typing import Final

CLASS_CREATED: Final = "huleedu.class.created.v1"
CLASS_UPDATED: Final = "huleedu.class.updated.v1"
CLASS_DELETED: Final = "huleedu.class.deleted.v1"
STUDENT_CREATED: Final = "huleedu.class.student.created.v1"
STUDENT_UPDATED: Final = "huleedu.class.student.updated.v1"
STUDENT_DELETED: Final = "huleedu.class.student.deleted.v1"
ASSOCIATIONS_CONFIRMED: Final = "huleedu.class.student.associations.confirmed.v1"
ASSOCIATION_UPDATED: Final = "huleedu.class.essay.association.updated.v1"
TIMEOUT_PROCESSED: Final = "huleedu.class.validation.timeout.processed.v1"
NOTIFICATION_REQUESTED: Final = "huleedu.notification.teacher.requested.v1"
COMMAND_RESULTS: Final = "huleedu.class.command.results.v1"

MATCHES_SUGGESTED: Final = "huleedu.batch.author.matches.suggested.v1"
COMMANDS: Final = "huleedu.class.commands.v1"

TIMERS: Final = "class-management.timers.v1"

#: What `class-management topics create` gives them, unless TOPIC_PARTITIONS says otherwise.
PARTITIONS: Final = 8
RETENTION_MS: Final = 7 * 24 * 3600 * 1000
#: So that a person has time to look.
DEAD_LETTER_RETENTION_MS: Final = 30 * 24 * 3600 * 1000
#: The consumer group, unless KAFKA_CONSUMER_GROUP says otherwise.
GROUP: Final = "class-management-service"

#: The end of the name that Faust gives the changelog of the timers' table.
CHANGELOG: Final = "-changelog"

PUBLISHED: Final = (
    CLASS_CREATED,
    CLASS_UPDATED,
    CLASS_DELETED,
    STUDENT_CREATED,
    STUDENT_UPDATED,
    STUDENT_DELETED,
    ASSOCIATIONS_CONFIRMED,
    ASSOCIATION_UPDATED,
    TIMEOUT_PROCESSED,
    NOTIFICATION_REQUESTED,
    COMMAND_RESULTS,
)
CONSUMED: Final = (MATCHES_SUGGESTED, COMMANDS)


def dead_letter_topic(topic: str) -> str:
    """Return the topic for messages of `topic` that cannot be processed.

    The changelog of the timers' table has none of its own.
    """
    return f"{TIMERS if topic.endswith(CHANGELOG) else topic}.dlt"


DEAD_LETTER: Final = tuple(dead_letter_topic(topic) for topic in (*CONSUMED, TIMERS))
ALL: Final = (*PUBLISHED, *CONSUMED, TIMERS, *DEAD_LETTER)

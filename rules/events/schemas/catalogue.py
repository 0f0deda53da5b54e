"""Which models the values of each topic, and the messages pushed through Redis, have."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from rules import topics
from rules.events.schemas import batches, commands, notifications, roster
from rules.events.schemas.base import Published

#: By topic; a topic of several tells them apart by `notification_type`.
EVENTS: Final[Mapping[str, tuple[type[Published], ...]]] = MappingProxyType(
    {
        topics.CLASS_CREATED: (roster.ClassCreatedV1,),
        topics.CLASS_UPDATED: (roster.ClassUpdatedV1,),
        topics.CLASS_DELETED: (roster.ClassDeletedV1,),
        topics.STUDENT_CREATED: (roster.StudentCreatedV1,),
        topics.STUDENT_UPDATED: (roster.StudentUpdatedV1,),
        topics.STUDENT_DELETED: (roster.StudentDeletedV1,),
        topics.ASSOCIATIONS_CONFIRMED: (batches.StudentAssociationsConfirmedV1,),
        topics.ASSOCIATION_UPDATED: (batches.EssayStudentAssociationUpdatedV1,),
        topics.TIMEOUT_PROCESSED: (batches.ValidationTimeoutProcessedV1,),
        topics.NOTIFICATION_REQUESTED: (
            notifications.ClassCreatedNotification,
            notifications.StudentAddedNotification,
            notifications.MatchesSuggestedNotification,
            notifications.TimeoutProcessedNotification,
            notifications.AssociationsConfirmedNotification,
        ),
        topics.COMMAND_RESULTS: (commands.CommandResultV1,),
    }
)

#: By `event`, which is the `notification_type`.
PUSHES: Final[Mapping[str, type[Published]]] = MappingProxyType(
    {
        "class_created": notifications.ClassCreatedPush,
        "student_added_to_class": notifications.StudentAddedPush,
        "student_matches_suggested": notifications.MatchesSuggestedPush,
        "validation_timeout_processed": notifications.TimeoutProcessedPush,
        "student_associations_confirmed": notifications.AssociationsConfirmedPush,
        "import_progressed": notifications.ImportProgressedPush,
    }
)

"""The members of each event, written by hand once more from docs/contract.md, section 3."""

from typing import Final

ENVELOPE: Final = {
    "event_id",
    "event_type",
    "event_timestamp",
    "source_service",
    "schema_version",
    "correlation_id",
    "data_schema_uri",
    "data",
    "metadata",
}
CLASS_CREATED: Final = {
    "event",
    "class_id",
    "class_designation",
    "course_codes",
    "external_id",
    "user_id",
    "correlation_id",
    "timestamp",
}
CLASS_UPDATED: Final = CLASS_CREATED
CLASS_DELETED: Final = {
    "event",
    "class_id",
    "external_id",
    "user_id",
    "correlation_id",
    "timestamp",
}
STUDENT_CREATED: Final = {
    "event",
    "student_id",
    "first_name",
    "last_name",
    "student_email",
    "external_id",
    "class_ids",
    "created_by_user_id",
    "correlation_id",
    "timestamp",
}
STUDENT_UPDATED: Final = {
    "event",
    "student_id",
    "first_name",
    "last_name",
    "student_email",
    "external_id",
    "add_class_ids",
    "remove_class_ids",
    "updated_by_user_id",
    "correlation_id",
    "timestamp",
}
STUDENT_DELETED: Final = {
    "event",
    "student_id",
    "external_id",
    "deleted_by_user_id",
    "correlation_id",
    "timestamp",
}
ASSOCIATIONS_CONFIRMED: Final = {
    "event_name",
    "entity_id",
    "entity_type",
    "parent_id",
    "timestamp",
    "batch_id",
    "class_id",
    "course_code",
    "associations",
    "timeout_triggered",
    "validation_summary",
}
ASSOCIATION_UPDATED: Final = {
    "event",
    "batch_id",
    "essay_id",
    "student_id",
    "first_name",
    "last_name",
    "student_email",
    "association_method",
    "confidence_score",
    "created_by_user_id",
    "correlation_id",
    "timestamp",
}
CONFIRMED_ASSOCIATION: Final = {
    "essay_id",
    "student_id",
    "confidence_score",
    "validation_method",
    "validated_by",
    "validated_at",
}
SUMMARY: Final = {"total_associations", "confirmed", "rejected", "human", "timeout", "auto"}
TIMEOUT_PROCESSED: Final = {
    "event_name",
    "entity_id",
    "entity_type",
    "parent_id",
    "timestamp",
    "batch_id",
    "user_id",
    "timeout_hours",
    "timeout_seconds",
    "auto_confirmed_associations",
    "guest_essays",
    "guest_class_created",
    "guest_class_id",
    "processing_timestamp",
}
AUTO_CONFIRMED: Final = {
    "essay_id",
    "student_first_name",
    "student_last_name",
    "student_email",
    "confidence_score",
    "is_confirmed",
}
NOTIFICATION: Final = {
    "teacher_id",
    "notification_type",
    "category",
    "priority",
    "payload",
    "action_required",
    "deadline_timestamp",
    "correlation_id",
    "batch_id",
    "class_id",
    "timestamp",
}
PAYLOADS: Final = {
    "class_created": {"class_id", "class_designation", "course_codes", "message"},
    "student_added_to_class": {
        "student_id",
        "student_name",
        "class_id",
        "class_designation",
        "message",
    },
    "student_matches_suggested": {
        "batch_id",
        "class_id",
        "suggested_count",
        "unmatched_count",
        "message",
    },
    "validation_timeout_processed": {
        "batch_id",
        "auto_confirmed_count",
        "timeout_hours",
        "message",
    },
    "student_associations_confirmed": {
        "batch_id",
        "confirmed_count",
        "validation_summary",
        "timeout_triggered",
        "message",
    },
}
#: `errors` is an addition: the rows, or members, at fault.
COMMAND_RESULT: Final = {
    "command_id",
    "command",
    "status",
    "error_code",
    "detail",
    "student_id",
    "class_id",
    "errors",
    "entity_ids",
    "timestamp",
}
ARMED: Final = {"event", "batch_id", "class_id", "pending_count", "confirm_by", "armed_at"}
CLEARED: Final = {"event", "batch_id"}
DEAD_LETTER_HEADERS: Final = (
    "dlt-reason",
    "dlt-exception",
    "dlt-topic",
    "dlt-partition",
    "dlt-offset",
    "dlt-timestamp",
)

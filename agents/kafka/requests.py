"""Kafka's requests that aiokafka does not have: topic ids, and changes of single settings."""

from typing import Any, Final

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Array,
    Boolean,
    CompactArray,
    CompactString,
    Int8,
    Int16,
    Int32,
    Schema,
    String,
    TaggedFields,
)

TOPIC: Final = 2
SET: Final = 0
NO_ID: Final = bytes(16)


class Uuid(AbstractType[bytes]):
    """An id of 16 bytes."""

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        """Write it as it is."""
        return value

    @classmethod
    def decode(cls, data: Any) -> bytes:  # noqa: ANN401  # BytesIO, or aiokafka's own
        """Read it as it is."""
        return bytes(data.read(16))


class MetadataResponseV10(Response):
    """Topics with their ids, which a topic of the same name that is made anew does not share."""

    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString("utf-8")),
                ("topic_id", Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class MetadataRequestV10(RequestStruct):
    """The version of 2.8, the first with topic ids."""

    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = MetadataResponseV10
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("topic_id", Uuid), ("name", CompactString("utf-8")), ("tags", TaggedFields)
            ),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class TopicsRequest(Request[MetadataRequestV10]):
    """Asks for topics by name; those that are missing are not made by that."""

    API_KEY = 3

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def build(self, request_struct_class: type[MetadataRequestV10]) -> MetadataRequestV10:
        """Return the request in a version."""
        topics: list[tuple[bytes, str, dict[int, bytes]]] = [
            (NO_ID, name, {}) for name in self._names
        ]
        return request_struct_class(topics, False, False, False, {})  # noqa: FBT003  # in the order of the schema


class IncrementalAlterConfigsResponseV0(Response):
    """An error for each resource, 0 for none."""

    API_KEY = 44
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "responses",
            Array(
                ("error_code", Int16),
                ("error_message", String("utf-8")),
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
            ),
        ),
    )


class IncrementalAlterConfigsRequestV0(RequestStruct):
    """The version of 2.3, the first."""

    API_KEY = 44
    API_VERSION = 0
    RESPONSE_TYPE = IncrementalAlterConfigsResponseV0
    SCHEMA = Schema(
        (
            "resources",
            Array(
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
                (
                    "configs",
                    Array(
                        ("name", String("utf-8")),
                        ("config_operation", Int8),
                        ("value", String("utf-8")),
                    ),
                ),
            ),
        ),
        ("validate_only", Boolean),
    )


class ChangeSettingsRequest(Request[IncrementalAlterConfigsRequestV0]):
    """Sets these settings of topics; aiokafka's AlterConfigs would reset all others."""

    API_KEY = 44

    def __init__(self, settings: dict[str, dict[str, str]]) -> None:
        self._settings = settings

    def build(
        self, request_struct_class: type[IncrementalAlterConfigsRequestV0]
    ) -> IncrementalAlterConfigsRequestV0:
        """Return the request in a version."""
        resources = [
            (TOPIC, topic, [(name, SET, value) for name, value in changes.items()])
            for topic, changes in self._settings.items()
        ]
        return request_struct_class(resources, False)  # noqa: FBT003  # validate_only

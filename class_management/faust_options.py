"""The options of the Faust App; docs/architecture.md explains each."""

from typing import Any, Final

from faust.auth import SASLCredentials, SSLCredentials

from agents.faust_support.runs import WAITING_RUNS
from agents.faust_support.table_manager import PromptTableManager
from agents.kafka.config import MAX_MESSAGE_BYTES, KafkaConfig
from class_management.settings import Settings
from tables.rocksdb import store_url
from web.middleware import application_options

#: How long new partitions stay unseen; Faust's default is five minutes.
METADATA_MS: Final = 10_000


def faust_options(settings: Settings, kafka: KafkaConfig) -> dict[str, Any]:
    """Return the options by their names in Faust; times are in seconds."""
    session = settings.kafka_session_timeout_seconds
    options = {
        "broker": [f"kafka://{server}" for server in settings.kafka_bootstrap_servers.split(",")],
        "broker_credentials": _credentials(kafka),
        "broker_session_timeout": session,
        "broker_heartbeat_interval": session / 5,
        "broker_request_timeout": max(4 * session, 40.0),
        "broker_max_poll_interval": 24 * 3600.0,
        "consumer_auto_offset_reset": "earliest",
        "consumer_metadata_max_age_ms": METADATA_MS,
        "producer_metadata_max_age_ms": METADATA_MS,
        "consumer_group_instance_id": settings.kafka_group_instance_id,
        "consumer_max_fetch_size": MAX_MESSAGE_BYTES,
        "producer_max_request_size": 2 * MAX_MESSAGE_BYTES,
        "stream_buffer_maxsize": WAITING_RUNS,
        "stream_wait_empty": False,
        "table_standby_replicas": 0,
        "recovery_consistency_check": False,
        "topic_partitions": settings.topic_partitions,
        "topic_replication_factor": settings.topic_replication_factor,
        "topic_disable_leader": True,
        "store": store_url(),
        "TableManager": PromptTableManager,
        "datadir": settings.data_dir,
        "web_bind": settings.host,
        "web_port": settings.port,
        "web_tables_enabled": False,
        "web_router_enabled": False,
        "web_graph_enabled": False,
        "web_stats_enabled": False,
        "web_metrics_enabled": False,
        "web_application_options": application_options(),
        "autodiscover": False,
    }
    if settings.kafka_embedded:
        # The embedded broker counts a batch of records as one when asked for the end of a log.
        options["producer_max_batch_size"] = 1
    return options


def _credentials(kafka: KafkaConfig) -> SASLCredentials | SSLCredentials | None:
    context = kafka.ssl_context()
    if kafka.uses_sasl:
        return SASLCredentials(
            username=kafka.sasl_username,
            password=kafka.sasl_password,
            ssl_context=context,
            mechanism=kafka.sasl_mechanism,
        )
    return SSLCredentials(context=context) if context else None

"""Kafka, as the settings describe it; apart from the container, which takes long to import."""

from agents.kafka.config import KafkaConfig
from class_management.settings import Settings


def kafka_config(settings: Settings) -> KafkaConfig:
    """Return the settings of Kafka as its clients need them."""
    password = settings.kafka_sasl_password
    return KafkaConfig(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        security_protocol=settings.kafka_security_protocol.value,
        sasl_mechanism=settings.kafka_sasl_mechanism.value,
        sasl_username=settings.kafka_sasl_username,
        sasl_password=password.get_secret_value() if password else None,
        cafile=str(settings.kafka_ssl_cafile) if settings.kafka_ssl_cafile else None,
        certfile=str(settings.kafka_ssl_certfile) if settings.kafka_ssl_certfile else None,
        keyfile=str(settings.kafka_ssl_keyfile) if settings.kafka_ssl_keyfile else None,
        embedded=settings.kafka_embedded,
    )

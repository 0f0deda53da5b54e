"""Whether Kafka accepts who the service says it is: its clients say only that they got nowhere."""

from typing import Final

from aiokafka.conn import create_conn
from aiokafka.errors import (
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from agents.kafka.config import KafkaConfig

TRY_SECONDS: Final = 2.0
#: The rest of what is wrong passes, or has nothing to do with who asks.
_REFUSED: Final = (SaslAuthenticationFailed, UnsupportedSaslMechanismError)


async def refusal(kafka: KafkaConfig) -> str | None:
    """Return why the credentials are refused; None if a broker accepts them, or none answers."""
    if not kafka.uses_sasl:
        return None
    options = kafka.client_options()
    for server in options.pop("bootstrap_servers").split(","):
        host, _, port = server.rpartition(":")
        try:
            connection = await create_conn(
                host.strip("[]"), int(port), request_timeout_ms=round(TRY_SECONDS * 1000), **options
            )
        except _REFUSED as error:
            return f"{type(error).__name__}: {next(iter(error.args), '')}"
        except (KafkaError, OSError):
            continue
        connection.close()
        return None
    return None

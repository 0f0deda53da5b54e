"""How the service's own Kafka clients connect (faust_options.py gives Faust's the same)."""

import ssl
from dataclasses import dataclass, field
from typing import Any, Final

from rules import sizes

MAX_MESSAGE_BYTES: Final = sizes.MAX_MESSAGE_BYTES


@dataclass(frozen=True, slots=True)
class KafkaConfig:
    """Where Kafka is; `embedded` is the development broker, without idempotent producers."""

    bootstrap_servers: str
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = "PLAIN"
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    cafile: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
    embedded: bool = False

    @property
    def uses_sasl(self) -> bool:
        """Whether clients authenticate; a username alone does not say so."""
        return self.security_protocol.startswith("SASL")

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return the TLS context, None for plain text. Raises OSError for unreadable files."""
        if not self.security_protocol.endswith("SSL"):
            return None
        context = ssl.create_default_context(cafile=self.cafile)
        if self.certfile:
            context.load_cert_chain(self.certfile, self.keyfile)
        return context

    def client_options(self) -> dict[str, Any]:
        """Return the options that every aiokafka client takes."""
        options: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap_servers,
            "security_protocol": self.security_protocol,
            "ssl_context": self.ssl_context(),
        }
        if self.uses_sasl:
            options |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.sasl_username,
                "sasl_plain_password": self.sasl_password,
            }
        return options

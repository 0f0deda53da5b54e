"""The environment of the service (docs/contract.md, section 6), read once at start."""

import base64
import importlib.metadata
import os
import re
import ssl
from collections.abc import Callable, Iterator
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from class_management.origins import origins
from rules import topics
from rules.models import Policy
from store.postgres.hosts import WRITING, hosts_of, wanted_server

PREFIX: Final = "CLASS_MANAGEMENT_SERVICE_"
SERVICE_NAME: Final = "class_management_service"
DISTRIBUTION: Final = "class-management-service"

# Kubernetes puts these names into every container beside a Service that is called
# "class-management-service"; they are not typing errors.
_SERVICE_LINKS: Final = re.compile(r"(SERVICE_HOST|SERVICE_PORT\w*|PORT_\d+_\w+)")


class SettingsError(Exception):
    """The environment is invalid; the message is one line for the operator."""


class Choice(StrEnum):
    """A choice of words, which may be written in capitals or not."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        return next((one for one in cls if one.lower() == str(value).lower()), None)


class LogLevel(Choice):
    """How much is logged."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"


class LogFormat(Choice):
    """How a log line looks; `auto` is text on a terminal and JSON elsewhere."""

    AUTO = "auto"
    JSON = "json"
    TEXT = "text"


class Role(Choice):
    """What a process does: answer HTTP, consume the streams, or both."""

    ALL = "all"
    WEB = "web"
    STREAM = "stream"

    @property
    def has_streams(self) -> bool:
        """Whether it joins the consumer group and holds part of the table."""
        return self is not Role.WEB

    @property
    def has_users(self) -> bool:
        """Whether it answers teachers and services."""
        return self is not Role.STREAM


class ConsoleSignIn(Choice):
    """How teachers say on the console's pages who they are."""

    GATEWAY = "gateway"
    DEVELOPMENT = "development"


class SecurityProtocol(Choice):
    """How connections to Kafka are secured."""

    PLAINTEXT = "PLAINTEXT"
    SSL = "SSL"
    SASL_PLAINTEXT = "SASL_PLAINTEXT"
    SASL_SSL = "SASL_SSL"


class SaslMechanism(Choice):
    """How the service authenticates to Kafka."""

    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"


def _of_scheme(url: str, *schemes: str) -> None:
    if not url.startswith(tuple(f"{scheme}://" for scheme in schemes)):
        raise ValueError(f"must start with {schemes[0]}://")


def _database_url(url: str) -> str:
    """Return the address of PostgreSQL: of one host, or of several of which one takes writes."""
    _of_scheme(url, "postgresql", "postgres")
    try:
        hosts_of(url)
    except ValueError:  # whose text may quote a part of the password
        raise ValueError(f"has a port that is no number from 1 to 65535, or {_ENCODE}") from None
    if urlsplit(url).fragment:
        raise ValueError(f"has a '#': {_ENCODE}")
    if wanted_server(url) not in WRITING:
        raise ValueError("target_session_attrs must be read-write: the service writes")
    return url


def _url_of(*schemes: str) -> AfterValidator:
    def check(url: str) -> str:
        _of_scheme(url, *schemes)
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError:  # whose text may quote a part of the password
            raise ValueError(
                f"has a port that is no number from 0 to 65535, or {_ENCODE}"
            ) from None
        if parts.fragment:
            raise ValueError(f"has a '#': {_ENCODE}")
        return url

    return AfterValidator(check)


_ENCODE: Final = "a password in which '/', '?', '#', '[' and ']' are not percent-encoded"


def _printable(text: str) -> str:
    """Return a text that can be shown, logged and sent."""
    if not text.strip() or not text.isprintable():
        raise ValueError("must have visible characters, and no others")
    return text


def _printable_secret(secret: SecretStr) -> SecretStr:
    _printable(secret.get_secret_value())
    return secret


def _base(url: str) -> str:
    """Return a URL to which paths can be appended."""
    parts = urlsplit(url)
    if not parts.hostname or parts.query or parts.fragment or parts.username is not None:
        raise ValueError("must be a URL like http://worker-1:5002")
    return url.rstrip("/")


def _servers(value: str) -> str:
    """Return a list of host:port without blanks after the commas."""
    servers = [server.strip() for server in value.split(",")]
    found = [_SERVER.fullmatch(server) for server in servers]
    if not all(one and 1 <= int(one[2]) <= LAST_PORT for one in found):
        raise ValueError("must be host:port, or several with commas between them")
    return ",".join(servers)


def _keys(value: SecretStr) -> SecretStr:
    """Return a list of keys without blanks around the commas."""
    keys = [key.strip() for key in value.get_secret_value().split(",")]
    if not all(keys):
        raise ValueError("has a key that is empty")
    return SecretStr(",".join(keys))


def _audiences(value: str) -> str:
    """Return a list of audiences without blanks around the commas."""
    names = [name.strip() for name in value.split(",")]
    if not all(names):
        raise ValueError("has an audience that is empty")
    return ",".join(names)


def _gateway_key(value: SecretStr) -> SecretStr:
    """Return a PEM, the address of a JWKS or a secret, as far as it can be told by its form.

    What looks like anything else is refused: taken for a secret it would be one that others know.
    """
    text = value.get_secret_value()
    if text.lstrip().startswith("-----BEGIN"):
        return value
    _printable(text)
    if (scheme := _SCHEME.match(text)) and (fault := _jwks_fault(scheme[1], text)):
        raise ValueError(fault)
    if scheme is None and (fault := _secret_fault(text)):
        raise ValueError(fault)
    return value


def _jwks_fault(scheme: str, url: str) -> str | None:
    """Return what is wrong with the address of a JWKS."""
    if scheme not in {"https", "http", "file"}:
        return "a JWKS is at https://, http:// or file://"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:  # whose text may quote a part of a password
        return "is no URL"
    if " " in url:
        return "is no URL: a blank in it is written %20"
    if scheme == "file":
        return None if not parts.netloc and len(parts.path) > 1 else "must be file:///path"
    return None if parts.hostname and not parts.fragment else f"must be like {scheme}://host/path"


def _secret_fault(text: str) -> str | None:
    """Return what is wrong with a secret."""
    if len(text.encode()) < MIN_SECRET_BYTES:
        return f"is no PEM, no JWKS, and has not the {MIN_SECRET_BYTES} bytes that HS256 needs"
    if text.startswith("{") or _is_file(Path(text)):
        return "a JWKS is read from where it lies: give https://, http:// or file://"
    if text.startswith(("ssh-", "ecdsa-")) or _is_der(text):
        return "a public key must be a PEM, from -----BEGIN to -----END"
    return None


def _is_file(path: Path) -> bool:
    """Whether it is one. `Path.is_file` raises where it cannot look, with the path in the text."""
    try:
        return path.is_file()
    except OSError:
        return False


def _file(path: Path) -> Path:
    if not _is_file(path):
        raise ValueError("is no file")
    return path


def _is_der(text: str) -> bool:
    """Whether this is the inside of a PEM: Base64 of one sequence of ASN.1."""
    try:
        content = base64.b64decode(text, validate=True)
    except ValueError:
        return False
    if content[:1] != b"\x30":
        return False
    sizes = content[1] & 0x7F if content[1] & 0x80 else 0
    length = int.from_bytes(content[2 : 2 + sizes], "big") if sizes else content[1]
    return len(content) == 2 + sizes + length


#: RFC 7518, section 3.2: as long as what HS256 makes of it.
MIN_SECRET_BYTES: Final = 32
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")

#: A word of a name like `eu-production`; in doubt it is one.
_PRODUCTION: Final = re.compile(r"\b(?:prod|(?:prd|live)\b)|_(?:prod|(?:prd|live)\b)")
LAST_PORT: Final = 65535
_SERVER: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):(\d{1,5})")

Text = Annotated[str, Field(max_length=255), AfterValidator(_printable)]
File = Annotated[Path, AfterValidator(_file)]
Secret = Annotated[SecretStr, AfterValidator(_printable_secret)]
#: What Kafka allows in names; the group names the table's changelog as well, a topic.
KafkaName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,200}$")]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


def _seconds(least: float, most: float) -> Any:  # noqa: ANN401  # what Field returns
    return Field(ge=least, le=most, allow_inf_nan=False)


_MINUTE: Final = 60.0
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR


class Settings(BaseSettings):
    """All settings, each `CLASS_MANAGEMENT_SERVICE_` + its name in upper case."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="forbid")

    environment: Text = "development"
    role: Role = Role.ALL
    host: Text = "0.0.0.0"  # noqa: S104  # a service in a container serves its network
    port: Annotated[int, Field(ge=1, le=LAST_PORT)] = 5002
    advertised_url: Annotated[str, _url_of("http", "https"), AfterValidator(_base)] | None = None
    log_level: LogLevel = LogLevel.INFO
    log_format: LogFormat = LogFormat.AUTO
    data_dir: Path = Path(".run/data")
    table_memory_mb: Annotated[int, Field(ge=16, le=65536)] = 64

    database_url: Annotated[str, AfterValidator(_database_url)] = (
        "postgresql://postgres:postgres@127.0.0.1:5435/class_management"
    )
    database_pool_min_size: Annotated[int, Field(ge=0, le=300)] = 4
    database_pool_max_size: Annotated[int, Field(ge=1, le=300)] = 30
    database_acquire_timeout_seconds: Annotated[float, _seconds(0.01, _MINUTE)] = 1.0
    database_command_timeout_seconds: Annotated[float, _seconds(0.1, _HOUR)] = 30.0
    database_pgbouncer: bool = False
    use_mock_repository: bool = False

    redis_url: Annotated[str, _url_of("redis", "rediss", "unix")] = "redis://127.0.0.1:6379/0"

    kafka_bootstrap_servers: Annotated[str, AfterValidator(_servers)] = "127.0.0.1:9092"
    kafka_consumer_group: KafkaName = topics.GROUP
    kafka_security_protocol: SecurityProtocol = SecurityProtocol.PLAINTEXT
    kafka_sasl_mechanism: SaslMechanism = SaslMechanism.SCRAM_SHA_512
    kafka_sasl_username: Text | None = None
    kafka_sasl_password: Secret | None = None
    kafka_ssl_cafile: File | None = None
    kafka_ssl_certfile: File | None = None
    kafka_ssl_keyfile: File | None = None
    kafka_session_timeout_seconds: Annotated[float, _seconds(1, 30 * _MINUTE)] = 6.0
    kafka_group_instance_id: KafkaName | None = None
    kafka_embedded: bool = False
    topic_partitions: Annotated[int, Field(ge=1, le=1000)] = topics.PARTITIONS
    topic_replication_factor: Annotated[int, Field(ge=1, le=10)] = 1

    internal_api_key: Annotated[Secret, AfterValidator(_keys)] | None = None
    gateway_jwt_key: Annotated[SecretStr, AfterValidator(_gateway_key)] | None = None
    gateway_jwt_audience: Annotated[Text, AfterValidator(_audiences)] = "class-management"

    cors_allowed_origins: Annotated[str, AfterValidator(origins)] | None = None

    console: bool = True
    console_sign_in: ConsoleSignIn = ConsoleSignIn.GATEWAY

    timeout_hours: Annotated[float, Field(ge=1e-5, le=24 * 365, allow_inf_nan=False)] = 24.0
    high_confidence_threshold: Fraction = 0.7
    auto_confirm_threshold: Fraction | None = None
    suggestion_retry_seconds: Annotated[float, _seconds(0, 7 * _DAY)] = 60.0
    reconcile_interval_seconds: Annotated[float, _seconds(1, 30 * _DAY)] = 3600.0
    inbox_retention_days: Annotated[int, Field(ge=1, le=3650)] = 14
    changes: bool = True
    http_timeout_seconds: Annotated[float, _seconds(0.1, _HOUR)] = 1.8
    http_max_connections: Annotated[int, Field(ge=1, le=100_000)] = 2_000
    requests_in_flight: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    requests_in_flight_per_user: Annotated[int, Field(ge=1, le=100_000)] = 100

    @property
    def policy(self) -> Policy:
        """The settings that the matching rules depend on."""
        return Policy(
            timeout=timedelta(hours=self.timeout_hours),
            high_confidence=self.high_confidence_threshold,
            auto_confirm=self.auto_confirm_threshold,
            suggestion_retry=timedelta(seconds=self.suggestion_retry_seconds),
        )

    @property
    def internal_api_keys(self) -> tuple[str, ...]:
        """The keys that are accepted; the first is the one to use. None: nobody gets in."""
        keys = self.internal_api_key
        return tuple(keys.get_secret_value().split(",")) if keys else ()

    @property
    def allowed_origins(self) -> frozenset[str]:
        """The origins of pages that a browser may let call the service."""
        given = self.cors_allowed_origins
        return frozenset(given.split(",")) if given else frozenset()

    @property
    def gateway_jwt_audiences(self) -> tuple[str, ...]:
        """Whom tokens are for, if they are for this service."""
        return tuple(self.gateway_jwt_audience.split(","))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  # pydantic gives them all by name
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leave out files of settings and of secrets: there are none, and looking takes as long."""
        return init_settings, env_settings

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if faults := list(_contradictions(self)):
            raise ValueError("; ".join(faults))
        return self


def _contradictions(settings: Settings) -> Iterator[str]:
    """Yield what is wrong with settings that are right each by itself."""
    if settings.database_pool_min_size > settings.database_pool_max_size:
        yield f"{PREFIX}DATABASE_POOL_MIN_SIZE is larger than {PREFIX}DATABASE_POOL_MAX_SIZE"
    if settings.use_mock_repository and settings.role is not Role.ALL:
        yield (f"{PREFIX}USE_MOCK_REPOSITORY keeps all in one process: {PREFIX}ROLE must be all")
    if settings.console_sign_in is ConsoleSignIn.DEVELOPMENT:
        yield from _sign_in_faults(settings)
    protocol = settings.kafka_security_protocol
    if protocol.startswith("SASL"):
        for name in ("kafka_sasl_username", "kafka_sasl_password"):
            if getattr(settings, name) is None:
                yield (f"{PREFIX}KAFKA_SECURITY_PROTOCOL asks for SASL: set {PREFIX}{name.upper()}")
    if protocol.endswith("SSL"):
        yield from _tls_faults(settings)


def _sign_in_faults(settings: Settings) -> Iterator[str]:
    """Yield why nobody may be believed who only says who it is."""
    name = f"{PREFIX}CONSOLE_SIGN_IN=development lets everybody in as anybody:"
    if settings.gateway_jwt_key is not None:
        yield f"{name} not together with {PREFIX}GATEWAY_JWT_KEY"
    if _PRODUCTION.search(settings.environment.lower()):
        yield f"{name} not with {PREFIX}ENVIRONMENT={settings.environment}"


def _tls_faults(settings: Settings) -> Iterator[str]:
    """Yield which of the files for TLS cannot be used, and why."""
    context = ssl.create_default_context()
    cafile, certfile = settings.kafka_ssl_cafile, settings.kafka_ssl_certfile
    if cafile:
        yield from _unusable("CAFILE", lambda: context.load_verify_locations(cafile))
    if certfile:
        keyfile = settings.kafka_ssl_keyfile
        # Without a password OpenSSL would ask for one.
        load = lambda: context.load_cert_chain(certfile, keyfile, password="")  # noqa: E731
        yield from _unusable("CERTFILE", load)
    elif settings.kafka_ssl_keyfile:
        yield f"{PREFIX}KAFKA_SSL_KEYFILE is of no use without {PREFIX}KAFKA_SSL_CERTFILE"


def _unusable(name: str, load: Callable[[], None]) -> Iterator[str]:
    try:
        load()
    except (OSError, ValueError) as error:
        yield f"{PREFIX}KAFKA_SSL_{name}: cannot be used: {error}"


def version() -> str:
    """Return the version of the installed distribution."""
    return importlib.metadata.version(DISTRIBUTION)


def load_settings() -> Settings:
    """Read the environment. Raises SettingsError with one line that names the fault."""
    unknown = sorted(
        name
        for name in os.environ
        if name.startswith(PREFIX)
        and name.removeprefix(PREFIX).lower() not in Settings.model_fields
        and not _SERVICE_LINKS.fullmatch(name.removeprefix(PREFIX))
    )
    if unknown:
        raise SettingsError(f"unknown setting: {', '.join(unknown)}")
    try:
        return Settings()
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        raise SettingsError(
            "; ".join(_line(fault["loc"], fault["msg"]) for fault in faults)
        ) from None


def _line(location: tuple[int | str, ...], message: str) -> str:
    name = f"{PREFIX}{str(location[0]).upper()}: " if location else ""
    return f"{name}{message.removeprefix('Value error, ')}"

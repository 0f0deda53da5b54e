"""Dishka's providers: the implementation of each protocol."""

import platform

from dishka import Provider, Scope, alias, from_context, make_container, provide
from dishka.container import Container
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from agents.kafka.config import KafkaConfig
from agents.kafka.producer import KafkaEventPublisher
from class_management.kafka import kafka_config
from class_management.settings import Settings, version
from migrations import HEAD
from rules.models import Policy
from store.memory.associations import MemoryAssociationRepository
from store.memory.classes import MemoryClassRepository
from store.memory.commands import MemoryCommandRepository
from store.memory.dead_letters import MemoryDeadLetters
from store.memory.email_keys import MemoryEmailKeys
from store.memory.feed import MemoryFeed
from store.memory.idempotency import MemoryIdempotency
from store.memory.imports import MemoryImports
from store.memory.inbox import MemoryInbox
from store.memory.maintenance import MemoryMaintenance
from store.memory.open_batches import MemoryOpenBatches
from store.memory.outbox import MemoryOutbox
from store.memory.overview import MemoryOverview
from store.memory.placeholders import MemoryPlaceholders
from store.memory.progress import MemoryProgress
from store.memory.queries import MemoryQueries
from store.memory.set_aside import MemorySetAside
from store.memory.state import MemoryStore
from store.memory.stories import MemoryStories
from store.memory.timers import MemoryTimers
from store.memory.workers import MemoryWorkerRegistry
from store.postgres.associations import PostgresAssociationRepository
from store.postgres.classes import PostgresClassRepository
from store.postgres.commands import PostgresCommandRepository
from store.postgres.database import Database, PoolConfig
from store.postgres.dead_letters import PostgresDeadLetters
from store.postgres.email_keys import PostgresEmailKeys
from store.postgres.feed import PostgresFeed
from store.postgres.idempotency import PostgresIdempotency
from store.postgres.imports import PostgresImports
from store.postgres.inbox import PostgresInbox
from store.postgres.maintenance import PostgresMaintenance
from store.postgres.open_batches import PostgresOpenBatches
from store.postgres.outbox import PostgresOutbox
from store.postgres.overview import PostgresOverview
from store.postgres.placeholders import PostgresPlaceholders
from store.postgres.privacy.repository import PostgresPrivacy
from store.postgres.progress import PostgresProgress
from store.postgres.queries import PostgresQueries
from store.postgres.set_aside import PostgresSetAside
from store.postgres.stories import PostgresStories
from store.postgres.timers import PostgresTimers
from store.postgres.workers import PostgresWorkerRegistry
from store.protocols.associations import AssociationRepositoryProtocol
from store.protocols.classes import ClassRepositoryProtocol
from store.protocols.commands import CommandRepositoryProtocol
from store.protocols.dead_letters import DeadLetterProtocol
from store.protocols.email_keys import EmailKeysProtocol
from store.protocols.feed import FeedProtocol
from store.protocols.idempotency import IdempotencyProtocol
from store.protocols.imports import ImportsProtocol
from store.protocols.inbox import InboxProtocol
from store.protocols.maintenance import MaintenanceProtocol
from store.protocols.open_batches import OpenBatchesProtocol
from store.protocols.outbox import ClassEventPublisherProtocol, OutboxProtocol
from store.protocols.overview import OverviewProtocol
from store.protocols.placeholders import PlaceholderProtocol
from store.protocols.pool import NoPool, PoolProtocol
from store.protocols.privacy import PrivacyProtocol
from store.protocols.progress import ProgressProtocol
from store.protocols.queries import QueryProtocol
from store.protocols.set_aside import SetAsideProtocol
from store.protocols.stories import StoryProtocol
from store.protocols.timers import TimerProtocol
from store.protocols.workers import WorkerRegistryProtocol
from telemetry.metrics import Metrics

REDIS_TIMEOUT_SECONDS = 0.5
#: To connect, and to send. What is heard may come at any time.
SUBSCRIBER_TIMEOUT_SECONDS = 2.0


class CommonProvider(Provider):
    """The objects that do not depend on the kind of store."""

    scope = Scope.APP

    settings = from_context(Settings)
    publisher = provide(KafkaEventPublisher, provides=ClassEventPublisherProtocol)

    @provide
    def metrics(self) -> Metrics:
        """Return the metrics, which say what runs here."""
        metrics = Metrics()
        python = platform.python_version()
        metrics.build.info({"version": version(), "python": python, "schema": HEAD})
        return metrics

    @provide
    def policy(self, settings: Settings) -> Policy:
        """Return the settings of the matching rules."""
        return settings.policy

    @provide
    def kafka(self, settings: Settings) -> KafkaConfig:
        """Return the addresses and credentials of Kafka."""
        return kafka_config(settings)

    @provide
    def redis(self, settings: Settings) -> Redis:
        """Return a client that gives up quickly: what it carries is best effort."""
        return Redis.from_url(
            settings.redis_url,
            socket_timeout=REDIS_TIMEOUT_SECONDS,
            socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )


class PostgresProvider(Provider):
    """The store on PostgreSQL."""

    scope = Scope.APP

    @provide
    def database(self, settings: Settings) -> Database:
        """Return the pool, which opens when first needed."""
        return Database(
            PoolConfig(
                dsn=settings.database_url,
                min_size=settings.database_pool_min_size,
                max_size=settings.database_pool_max_size,
                acquire_timeout=settings.database_acquire_timeout_seconds,
                command_timeout=settings.database_command_timeout_seconds,
                pgbouncer=settings.database_pgbouncer,
                streams=settings.role.has_streams,
                changes=settings.changes,
            )
        )

    pool = alias(Database, provides=PoolProtocol)
    classes = provide(PostgresClassRepository, provides=ClassRepositoryProtocol)
    associations = provide(PostgresAssociationRepository, provides=AssociationRepositoryProtocol)
    idempotency = provide(PostgresIdempotency, provides=IdempotencyProtocol)
    imports = provide(PostgresImports, provides=ImportsProtocol)
    inbox = provide(PostgresInbox, provides=InboxProtocol)
    timers = provide(PostgresTimers, provides=TimerProtocol)
    open_batches = provide(PostgresOpenBatches, provides=OpenBatchesProtocol)
    queries = provide(PostgresQueries, provides=QueryProtocol)
    placeholders = provide(PostgresPlaceholders, provides=PlaceholderProtocol)
    commands = provide(PostgresCommandRepository, provides=CommandRepositoryProtocol)
    dead_letters = provide(PostgresDeadLetters, provides=DeadLetterProtocol)
    email_keys = provide(PostgresEmailKeys, provides=EmailKeysProtocol)
    feed = provide(PostgresFeed, provides=FeedProtocol)
    outbox = provide(PostgresOutbox, provides=OutboxProtocol)
    set_aside = provide(PostgresSetAside, provides=SetAsideProtocol)
    stories = provide(PostgresStories, provides=StoryProtocol)
    overview = provide(PostgresOverview, provides=OverviewProtocol)
    privacy = provide(PostgresPrivacy, provides=PrivacyProtocol)
    progress = provide(PostgresProgress, provides=ProgressProtocol)
    maintenance = provide(PostgresMaintenance, provides=MaintenanceProtocol)
    workers = provide(PostgresWorkerRegistry, provides=WorkerRegistryProtocol)


class MemoryProvider(Provider):
    """The store in memory (`USE_MOCK_REPOSITORY=true`)."""

    scope = Scope.APP

    @provide
    def store(self, policy: Policy, settings: Settings) -> MemoryStore:
        """Return the state that all repositories share, with the default clock."""
        return MemoryStore(policy, keeps_changes=settings.changes)

    pool = provide(NoPool, provides=PoolProtocol)
    classes = provide(MemoryClassRepository, provides=ClassRepositoryProtocol)
    associations = provide(MemoryAssociationRepository, provides=AssociationRepositoryProtocol)
    idempotency = provide(MemoryIdempotency, provides=IdempotencyProtocol)
    imports = provide(MemoryImports, provides=ImportsProtocol)
    inbox = provide(MemoryInbox, provides=InboxProtocol)
    timers = provide(MemoryTimers, provides=TimerProtocol)
    open_batches = provide(MemoryOpenBatches, provides=OpenBatchesProtocol)
    queries = provide(MemoryQueries, provides=QueryProtocol)
    placeholders = provide(MemoryPlaceholders, provides=PlaceholderProtocol)
    commands = provide(MemoryCommandRepository, provides=CommandRepositoryProtocol)
    dead_letters = provide(MemoryDeadLetters, provides=DeadLetterProtocol)
    email_keys = provide(MemoryEmailKeys, provides=EmailKeysProtocol)
    feed = provide(MemoryFeed, provides=FeedProtocol)
    outbox = provide(MemoryOutbox, provides=OutboxProtocol)
    set_aside = provide(MemorySetAside, provides=SetAsideProtocol)
    stories = provide(MemoryStories, provides=StoryProtocol)
    overview = provide(MemoryOverview, provides=OverviewProtocol)
    progress = provide(MemoryProgress, provides=ProgressProtocol)
    maintenance = provide(MemoryMaintenance, provides=MaintenanceProtocol)
    workers = provide(MemoryWorkerRegistry, provides=WorkerRegistryProtocol)


def subscriber(settings: Settings) -> Redis:
    """Return a client that listens: what it hears has the form of RESP 2."""
    return Redis.from_url(
        settings.redis_url,
        protocol=2,
        socket_timeout=SUBSCRIBER_TIMEOUT_SECONDS,
        socket_connect_timeout=SUBSCRIBER_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def build_container(settings: Settings) -> Container:
    """Return the container of a process."""
    store = MemoryProvider() if settings.use_mock_repository else PostgresProvider()
    return make_container(CommonProvider(), store, context={Settings: settings})

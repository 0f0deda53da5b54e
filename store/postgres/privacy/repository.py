"""Personal data on PostgreSQL."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from rules.models import Policy
from rules.personal.subjects import Erasure, Kind, Report, Subject
from store.postgres.database import Connection, Database
from store.postgres.privacy import exports, students, users
from store.postgres.privacy.work import Work, finish, guarded
from store.protocols.privacy import Told


class PostgresPrivacy:
    """Implements PrivacyProtocol."""

    def __init__(self, database: Database, policy: Policy) -> None:
        self._database = database
        self._policy = policy

    async def counts(self, subject: Subject) -> Mapping[str, int]:
        async with self._database.acquire() as connection:
            return await exports.counts(connection, subject)

    def export(self, subject: Subject) -> AsyncGenerator[tuple[str, Mapping[str, Any]], None]:
        return exports.export(self._database, subject)

    async def erase(self, subject: Subject, told: Told, patience_seconds: float) -> Report:
        async with guarded(self._database, subject) as guard:
            erasure = await self._database.transact(lambda c: self._begun(c, subject))
            work = Work(self._database, self._policy, erasure, guard)
            work.told, work.patience_seconds = told, patience_seconds
            await (students if subject.kind is Kind.STUDENT else users).erase(work)
            return await finish(work)

    async def _begun(self, connection: Connection, subject: Subject) -> Erasure:
        if subject.kind is Kind.STUDENT:
            return await students.begun(connection, subject)
        return await users.begun(connection, subject, await exports.counts(connection, subject))

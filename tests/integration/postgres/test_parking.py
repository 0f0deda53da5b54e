"""Parked messages wait in PostgreSQL as long as the rules say."""

from devstack.rig.database import connected
from rules.ids import new_id
from rules.models import Policy
from rules.parking import pause
from rules.suggestions import Outcome
from tests.integration.store.builders import deliver, parse, result, store_one
from tests.support.stores import postgres_stores

NOW = "select clock_timestamp()"
NEXT_TRY = "select next_try_at from parked"
MAKE_DUE = "update parked set next_try_at = now()"


async def test_each_try_is_followed_by_the_pause_of_the_rules(migrated_database: str) -> None:
    async with (
        postgres_stores(migrated_database, Policy()) as stores,
        connected(migrated_database) as connection,
    ):
        before = await connection.fetchval(NOW)
        assert await store_one(stores, deliver(new_id(), result())) is Outcome.PARKED
        for tries in range(7):
            after = await connection.fetchval(NOW)
            began = await connection.fetchval(NEXT_TRY) - pause(tries)
            assert before <= began <= after
            await connection.execute(MAKE_DUE)
            before = await connection.fetchval(NOW)
            assert (await stores.inbox.retry_parked(parse, 10)).outcomes == [Outcome.PARKED]

"""A replay and the decision for it are one transaction."""

import pytest

from devstack.rig.database import connected
from rules.dead_letters.letters import read_letter, replay_message
from rules.dead_letters.messages import DeadLetter, Reason
from rules.dead_letters.replays import Replay
from rules.errors import DataRefusedError
from rules.ids import new_id
from rules.models import Policy, Record
from tests.integration.store.builders import deliver
from tests.support.stores import postgres_stores


async def test_nothing_is_decided_where_nothing_can_be_sent(migrated_database: str) -> None:
    async with postgres_stores(migrated_database, Policy()) as stores:
        letter = DeadLetter(deliver(new_id()).record, Reason.UNREADABLE, "")
        await stores.inbox.dead_letter([letter])
        [dead] = [one.message for one in await stores.published()]
        record = Record(dead.topic, 0, 0, 0, dead.key, dead.value, dead.headers)
        lies = read_letter(record)
        sent = replay_message(record, new_id())
        async with connected(migrated_database) as connection:
            await connection.execute(
                "alter table outbox_packs add constraint closed check (false) not valid"
            )
        with pytest.raises(DataRefusedError):
            await stores.dead_letters.replay(
                [Replay(new_id(), lies.id, lies.address, sent)], again=False
            )
        assert await stores.dead_letters.decided([lies.id]) == {}
        assert await stores.published() == []

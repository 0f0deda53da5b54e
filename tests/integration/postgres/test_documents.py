"""PostgreSQL writes JSON as the service does, to the byte; more in the conformance suite."""

from datetime import timedelta

import pytest

from rules.documents import class_detail_json
from rules.events.envelopes import to_json
from rules.models import Policy
from tests.integration.store.builders import make_classroom
from tests.support.stores import postgres_stores


@pytest.mark.parametrize("fraction", [0, 1, 120_000, 999_999])
async def test_instants_are_written_alike(migrated_database: str, fraction: int) -> None:
    async with postgres_stores(migrated_database, Policy()) as stores:
        room = await make_classroom(stores, 1)
        owner = room.teacher.user_id
        made = (await stores.rosters.get_class(owner, room.id)).record.created_at
        await stores.elapse(timedelta(seconds=1, microseconds=made.microsecond - fraction))
        detail = await stores.rosters.get_class(owner, room.id)
        assert detail.record.created_at.microsecond == fraction
        document = await stores.classes.class_document(owner, room.id)
        assert document == to_json(class_detail_json(detail))

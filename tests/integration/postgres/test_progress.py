"""Progress and what makes it true are one transaction."""

import pytest

from rules.errors import BatchNotFoundError, DataRefusedError
from rules.models import Policy
from rules.progress import Progress
from tests.integration.store.builders import deliver, make_classroom, result
from tests.support.stores import postgres_stores


async def test_progress_that_is_refused_takes_its_messages_with_it(migrated_database: str) -> None:
    async with postgres_stores(migrated_database, Policy()) as stores:
        room = await make_classroom(stores)
        delivery = deliver(room.id, result())
        refused = [Progress("group", "topic", 0, 1), Progress("group", "topic", 1, -1)]
        with pytest.raises(DataRefusedError):
            await stores.inbox.store_suggestions([delivery], refused)
        with pytest.raises(BatchNotFoundError):
            await stores.associations.get_batch(room.teacher.user_id, delivery.message.batch_id)
        assert await stores.progress.stored("group", "topic") == {}
        assert await stores.published() == []

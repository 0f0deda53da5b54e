"""Headers of events are not stored: whoever reads the outbox by SQL sees them all the same."""

from datetime import UTC, datetime
from typing import Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devstack.rig.database import connected
from rules.events.envelopes import publish
from rules.models import OutboxMessage, Trace
from store.postgres import packs, sql
from tests.unit.rules.strategies import TRACEPARENT, names

AT: Final = datetime(2026, 11, 20, 8, 15, 30, tzinfo=UTC)

events = st.builds(
    publish,
    topic=st.sampled_from(["some.topic", "t"]),
    key=names | st.uuids(),
    data=st.dictionaries(names, names | st.none()),
    trace=st.builds(Trace, st.uuids(), st.sampled_from([None, TRACEPARENT])),
    at=st.just(AT),
)
others = st.builds(
    OutboxMessage,
    topic=st.just("t"),
    key=st.none() | st.binary(max_size=9),
    value=st.none() | st.binary(max_size=9),
    own_headers=st.lists(st.tuples(st.text(max_size=9), st.binary(max_size=9))).map(tuple),
)


@given(messages=st.lists(events | others, max_size=9))
def test_what_is_packed_is_unpacked(messages: list[OutboxMessage]) -> None:
    content = b"".join(packs.pack_message(message) for message in messages)
    assert packs.unpack(content) == messages


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(messages=st.lists(events, min_size=1, max_size=9))
async def test_an_older_worker_reads_the_headers_of_events(
    migrated_database: str, messages: list[OutboxMessage]
) -> None:
    async with connected(migrated_database) as connection:
        await connection.execute("delete from outbox_packs")
        await connection.execute(sql.outbox.INSERT_PACKS, *packs.packed(messages))
        rows = await connection.fetch("select value, headers from outbox")
    found = {row["value"]: row["headers"] for row in rows}
    assert found == {message.value: packs.pack_headers(message.headers) for message in messages}

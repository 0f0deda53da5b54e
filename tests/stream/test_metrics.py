"""What a running worker measures, and when its series begin to exist."""

import asyncio
import math
from collections.abc import Mapping
from typing import Final
from uuid import uuid4

import pytest
from prometheus_client.parser import text_string_to_metric_families

from devstack.rig.http import Http, Teacher, yes
from devstack.rig.kafka import COMMANDS, CONFIRMED, DEAD_COMMANDS, DEAD_SUGGESTIONS, Topics
from devstack.rig.outages import stopped
from devstack.rig.service import Host, ServiceProcess
from devstack.rig.suggestions import TOPIC, suggest
from devstack.rig.waiting import until
from rules import topics as names
from tests.support.command_line import call

PREFIX: Final = "class_management_"
#: Series that come and go with what a worker has, or have too many labels to know them all.
COMING_AND_GOING: Final = ("consumer_lag_messages", "http_request_seconds", "http_requests")

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def scraped(http: Http) -> Series:
    text = (await http.send("GET", "/metrics")).body.decode()
    return {
        (sample.name.removeprefix(PREFIX), frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        if family.name.startswith(PREFIX)
        for sample in family.samples
    }


def lags(found: Series) -> dict[str, float]:
    """Return the lag of each topic."""
    by_topic: dict[str, float] = {}
    for (name, labels), value in found.items():
        if name == "consumer_lag_messages":
            topic = dict(labels)["topic"]
            by_topic[topic] = by_topic.get(topic, 0) + value
    return by_topic


def of_worker(http: Http, worker: ServiceProcess) -> Http:
    return Http(http.session, worker.port)


async def test_nothing_that_happens_makes_a_series_appear(
    http: Http, second: ServiceProcess, teacher: Teacher, topics: Topics
) -> None:
    new = (await scraped(of_worker(http, second))).keys()
    roster = await teacher.new_roster(1)
    batch = suggest(roster.class_id, [(roster.student_ids[0], 0.9)])
    for _ in range(2):
        await topics.suggest(batch)
    await topics.send(b"not JSON", teacher.id)
    await topics.expect(DEAD_SUGGESTIONS, teacher.id)
    await teacher.stored(batch.batch_id)
    await teacher.confirm(batch.batch_id, yes(*batch.essay_ids))
    await topics.expect(CONFIRMED, batch.batch_id)
    later = (await scraped(http)).keys() | (await scraped(of_worker(http, second))).keys()
    appeared = {one for one in later - new if not one[0].startswith(COMING_AND_GOING)}
    assert appeared == set()


@pytest.mark.usefixtures("service")
async def test_a_worker_says_what_it_is_and_what_it_reaches(http: Http) -> None:
    await until("a recovered table", lambda: recovered(http))

    async def reached() -> bool:
        # One that has just started may not have asked all of them yet.
        found = await scraped(http)
        names = ("database", "kafka", "redis")
        return all(found["dependency_up", frozenset({("dependency", n)})] == 1 for n in names)

    await until("everything to be reached", reached)
    found = await scraped(http)
    [labels] = [dict(labels) for name, labels in found if name == "build_info"]
    assert labels.keys() == {"version", "python", "schema"}
    assert found["rebalances_total", frozenset()] > 0


async def recovered(http: Http) -> bool:
    return await http.metric("table_recovered") == 1


async def test_a_dependency_that_is_away_is_shown_and_the_backlog_is_unknown(
    host: Host, http: Http, service: ServiceProcess
) -> None:
    assert service.pid is not None
    up = "dependency_up", frozenset({("dependency", "database")})

    async def says(value: float) -> bool:
        found = await scraped(http)
        depth = found["outbox_depth", frozenset()]
        return found[up] == value and math.isnan(depth) == (value == 0)

    await until("a measured backlog", lambda: says(1))
    async with stopped(host.server("postgres")):
        await until("an unknown backlog", lambda: says(0))
    await until("a measured backlog", lambda: says(1))


async def test_lag_is_what_waits_in_the_topics(
    host: Host, http: Http, teacher: Teacher, topics: Topics
) -> None:
    roster = await teacher.new_roster(1)
    await until("no lag", lambda: without_lag(http))
    async with stopped(host.server("postgres")):
        for _ in range(3):
            await topics.suggest(suggest(roster.class_id, [(roster.student_ids[0], 0.9)]))
        await until("lag", lambda: lag_of(http, TOPIC, 3))
    await until("no lag", lambda: without_lag(http))


async def lag_of(http: Http, topic: str, least: float) -> bool:
    return lags(await scraped(http)).get(topic, 0) >= least


async def without_lag(http: Http) -> bool:
    found = lags(await scraped(http))
    consumed = {*names.CONSUMED, names.TIMERS}
    return found.keys() == consumed and not any(found.values())


async def has_all_again(http: Http, rebalances: float) -> bool:
    return await http.metric("rebalances_total") > rebalances and await recovered(http)


async def test_open_dead_letters_are_those_that_dlt_lists(
    host: Host, http: Http, topics: Topics, settings: Mapping[str, str]
) -> None:
    # Those of commands: among the suggestions' a test of transactions leaves what it aborted.
    keys = [f"poison-{uuid4()}" for _ in range(3)]
    for key in keys:
        await topics.send(b"not JSON", key, topic=COMMANDS)
        await topics.expect(DEAD_COMMANDS, key)
    environ = host.command_environ()
    dropped = await call("dlt", "drop", "--key", keys[0], "--yes", environ=environ)
    assert dropped.code == 0

    async def still_open() -> int:
        which = ("--json", "--limit", "100000", "--topic", "commands")
        listed = await call("dlt", "list", *which, environ=environ)
        return sum(line["state"] == "open" for line in listed.lines)

    # What another test has left parked may become a dead letter meanwhile.
    least = await still_open()
    # A worker measures when it starts, and then every half a minute.
    worker = await asyncio.to_thread(host.another, settings)
    try:
        gauge = "dead_letters_open", frozenset({("topic", DEAD_COMMANDS)})

        async def measured() -> float | None:
            value = (await scraped(of_worker(http, worker))).get(gauge, math.nan)
            return None if math.isnan(value) else value

        seen = await until("a measurement", measured)
        assert seen is not None
        assert least <= seen <= await still_open()
    finally:
        before = await http.metric("rebalances_total")
        await asyncio.to_thread(worker.stop)
        # The tests that follow find a worker that is well.
        await until("all partitions back", lambda: has_all_again(http, before))

"""The stories of batches on operators' pages: found by any id, told without names."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from multidict import CIMultiDict

from rules import topics
from rules.ids import new_id
from rules.story import Step, What
from store.protocols.stories import StoryProtocol
from tests.integration.store.builders import Stores
from tests.integration.web import fakes
from tests.integration.web.api import TEACHER, Api, Reply, Setup, desk_of, serving
from tests.integration.web.console.letters import FakeEvents
from tests.integration.web.console.pages import text_of
from tests.integration.web.console.people import signed_in
from tests.integration.web.fakes import Misbehaving
from tests.integration.web.worlds import World, new_world
from web.console.desk import TopicsBusyError
from web.console.table import WITH_CONSOLE

SEARCH = "/console/operations/batches"
PRIVATE = ("Åsa", "Öberg", "asa@skola.se", ">9A<")


@pytest.fixture
def events() -> FakeEvents:
    return FakeEvents()


@pytest.fixture
async def api(stores: Stores, events: FakeEvents, tmp_path: Path) -> AsyncIterator[Api]:
    desk = replace(desk_of(stores), events=events)
    async with serving(Setup(stores, desk=desk), tmp_path, WITH_CONSOLE) as running:
        yield running


@pytest.fixture
async def world(api: Api) -> World:
    return await new_world(api)


@pytest.fixture
async def operator(api: Api) -> Mapping[str, str]:
    return await signed_in(api)


async def found(api: Api, operator: Mapping[str, str], wanted: object) -> Reply:
    return await api.get(f"{SEARCH}?id={wanted}", user=None, headers=operator)


async def told(api: Api, operator: Mapping[str, str], path: str) -> str:
    reply = await api.get(path, user=None, headers=operator)
    assert reply.status == 200, reply.body
    return text_of(reply)


async def test_a_batch_and_its_essays_lead_to_its_story(
    api: Api, operator: Mapping[str, str], world: World
) -> None:
    for wanted in (world.batch_id, world.essay_id, world.pending_id, world.batch_id.upper()):
        reply = await found(api, operator, wanted)
        assert reply.status == 303
        path, _, place = reply.headers["Location"].partition("#")
        assert (path, place) == (f"{SEARCH}/{world.batch_id}", f"essay-{wanted}".lower())
    story = await told(api, operator, f"{SEARCH}/{world.batch_id}")
    assert f'id="essay-{world.essay_id}"' in story


async def test_a_class_has_its_batches_the_latest_first(
    api: Api, operator: Mapping[str, str], world: World, stores: Stores
) -> None:
    await stores.elapse(timedelta(minutes=1))
    later, _ = await api.new_batch(world.class_id, world.student_id)
    text = text_of(await found(api, operator, world.class_id))
    places = [text.index(f'href="{SEARCH}/{one}"') for one in (later, world.batch_id)]
    assert places == sorted(places)
    assert not [private for private in PRIVATE if private in text]


async def test_a_correlation_id_has_the_batches_that_it_named(
    api: Api, operator: Mapping[str, str], world: World
) -> None:
    correlation_id = new_id()
    path = f"/v1/batches/{world.batch_id}/student-associations/confirm"
    decided = {"associations": [{"essay_id": world.pending_id, "confirmed": True}]}
    headers = {"X-Correlation-ID": str(correlation_id)}
    assert (await api.send("POST", path, decided, headers=headers)).status == 200
    text = text_of(await found(api, operator, correlation_id))
    assert f'href="{SEARCH}/{world.batch_id}"' in text
    assert "1 essay" in text


async def test_what_is_no_id_is_said_beside_the_field(
    api: Api, operator: Mapping[str, str]
) -> None:
    reply = await found(api, operator, "%3Cscript%3E")
    assert reply.status == 400
    text = text_of(reply)
    assert 'value="&lt;script&gt;"' in text
    assert 'aria-invalid="true"' in text
    assert 'aria-describedby="fault"' in text


async def test_an_id_of_nothing_leads_to_dead_letters(
    api: Api, operator: Mapping[str, str]
) -> None:
    nothing = new_id()
    reply = await found(api, operator, nothing)
    assert reply.status == 200
    assert f"/console/operations/dead-letters?key={nothing}" in text_of(reply)
    reply = await api.get(f"{SEARCH}/{nothing}", user=None, headers=operator)
    assert reply.status == 404


@pytest.mark.parametrize("query", ["id=a&id=b", "id=%00", "id=%FF", f"id={'a' * 201}"])
async def test_what_nobody_can_have_typed_is_refused(
    api: Api, operator: Mapping[str, str], query: str
) -> None:
    reply = await api.get(f"{SEARCH}?{query}", user=None, headers=operator)
    assert reply.status == 400
    assert "<h1>" in text_of(reply)


async def test_a_story_has_ids_counts_and_instants_but_no_names(
    api: Api, operator: Mapping[str, str], world: World
) -> None:
    text = await told(api, operator, f"{SEARCH}/{world.batch_id}")
    for shown in (world.batch_id, world.class_id, world.essay_id, TEACHER, "1 undecided"):
        assert shown in text
    for step in ("suggested", "waits for a decision", "decided"):
        assert f"<b>{step}</b>" in text
    assert f"by {TEACHER}" in text
    assert not [private for private in PRIVATE if private in text]


async def test_topics_are_read_where_it_is_asked_for(
    api: Api, operator: Mapping[str, str], world: World, events: FakeEvents
) -> None:
    lies = {"topic": topics.TIMERS, "partition": 2, "offset": 17, "event_id": new_id()}
    events.steps = [Step(datetime(2026, 1, 2, tzinfo=UTC), What.EVENT, {**lies, "kind": "armed"})]
    place = f"{topics.TIMERS}/2/17"
    path = f"{SEARCH}/{world.batch_id}"
    assert place not in await told(api, operator, path)
    assert events.asked == []
    text = await told(api, operator, f"{path}?topics=yes")
    assert [str(one) for one in events.asked] == [world.batch_id]
    assert place in text
    assert text.index(place) < text.index("<b>suggested</b>")
    assert "With all that the topics still have." in text


@pytest.mark.parametrize(
    ("trouble", "is_cut_off", "is_busy", "said"),
    [
        ("Kafka at x: gone", False, False, "Kafka at x: gone"),
        ("not in time", True, False, "not read to their ends"),
        (None, False, True, "read for somebody else"),
    ],
    ids=["away", "slow", "busy"],
)
async def test_without_topics_the_story_is_what_the_store_knows(  # fixtures
    api: Api,
    operator: Mapping[str, str],
    world: World,
    events: FakeEvents,
    *,
    trouble: str | None,
    is_cut_off: bool,
    is_busy: bool,
    said: str,
) -> None:
    events.trouble, events.is_cut_off = trouble, is_cut_off
    events.busy = TopicsBusyError("somebody") if is_busy else None
    text = await told(api, operator, f"{SEARCH}/{world.batch_id}?topics=yes")
    assert said in text
    assert "<b>suggested</b>" in text


async def test_teachers_see_no_story(api: Api, world: World) -> None:
    for path in (SEARCH, f"{SEARCH}/{world.batch_id}"):
        reply = await api.get(path)
        assert reply.status == 303
        assert reply.headers["Location"].startswith("/console/sign-in/operator")


async def test_without_postgres_a_page_says_so(tmp_path: Path, stores: Stores) -> None:
    broken: StoryProtocol = Misbehaving(fakes.unavailable)  # type: ignore[assignment]  # any
    setup = Setup(stores, desk=replace(desk_of(stores), stories=broken))
    async with serving(setup, tmp_path, WITH_CONSOLE) as api:
        operator = CIMultiDict(await signed_in(api))
        reply = await found(api, operator, new_id())
        assert reply.status == 503
        assert "That did not work" in text_of(reply)

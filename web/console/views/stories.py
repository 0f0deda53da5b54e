"""Batches for operators: found by any id, and the story of each: ids, counts and instants."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final
from uuid import UUID

from aiohttp import web
from markupsafe import Markup

from rules.errors import BatchNotFoundError, Cause, StoreUnavailableError
from rules.shown import printable
from rules.story import Events, Step, Story, in_order, steps
from web.calls import Call
from web.console.away import desk_of
from web.console.desk import Desk, TopicsBusyError
from web.console.languages import speech_of
from web.console.operations import page_operation
from web.console.rendering import many, page, see_other
from web.console.steps import in_words, who_of
from web.identity import Access
from web.operations import Operation
from web.parameters import canonical_uuid, optional_text, single
from web.services import WebServices

SEARCH: Final = "/console/operations/batches"
STORY: Final = f"{SEARCH}/{{batch_id}}"

MOST_LISTED: Final = 100
_MOST_CHARACTERS: Final = 200
#: The topics are read for ten seconds, after another reading and the connection.
READ_SECONDS: Final = 30.0


async def show_search(services: WebServices, call: Call) -> web.Response:
    """Ask for an id, and show the batches that it names; of one alone its story."""
    given = optional_text(call.query, "id", _MOST_CHARACTERS) or ""
    if not given:
        return await _search(call, given)
    wanted = canonical_uuid(given)
    if wanted is None:
        return await _search(call, given, HTTPStatus.BAD_REQUEST, fault="form")
    try:
        return await _found(desk_of(services), call, given, wanted)
    except StoreUnavailableError as error:
        if error.cause is not Cause.NO_ANSWER:
            raise
        return await _search(call, given, HTTPStatus.SERVICE_UNAVAILABLE, fault="slow")


async def _found(desk: Desk, call: Call, given: str, wanted: UUID) -> web.Response:
    # Before correlation ids, which are looked for in all batches.
    of_class = await desk.stories.of_class(wanted, MOST_LISTED + 1)
    if of_class:
        return await _search(call, given, of_class=of_class)
    named = await desk.stories.named(wanted)
    if len(named) == 1 and not named[0].essays:
        return see_other(f"{SEARCH}/{named[0].batch_id}#essay-{wanted}")
    fault = None if named else "nothing"
    return await _search(call, given, HTTPStatus.OK, named=named, fault=fault)


async def _search(
    call: Call, given: str, status: HTTPStatus = HTTPStatus.OK, **context: object
) -> web.Response:
    values = {"fault": None, "named": (), "of_class": (), **context}
    return await page(
        call, "operations/batches.html", status=status, given=given, most=MOST_LISTED, **values
    )


async def show_story(services: WebServices, call: Call, batch_id: UUID) -> web.Response:
    """Tell the story of a batch; of the topics only if it is asked for, since that takes long."""
    desk = desk_of(services)
    story = await desk.stories.story(batch_id)
    if story is None:
        raise BatchNotFoundError
    is_asked = single(call.query, "topics") is not None
    events, is_busy = await _events(desk, story) if is_asked else (Events(), False)
    return await page(
        call,
        "operations/story.html",
        story=story,
        steps=await _steps(call, in_order([*steps(story), *events.steps])),
        essays=await many(call, "operations/story_essays.html", story.essays, who_of=who_of),
        printable=printable,
        events=events,
        is_asked=is_asked,
        is_busy=is_busy,
        due=min((essay.confirm_by for essay in story.pending), default=None),
    )


async def _steps(call: Call, told: Sequence[Step]) -> Markup:
    speech = speech_of(call.request)
    items = [(step, *in_words(speech, step)) for step in told]
    return await many(call, "operations/story_steps.html", items)


async def _events(desk: Desk, story: Story) -> tuple[Events, bool]:
    """Return what the topics have, and whether they are read for somebody else."""
    try:
        return await desk.events.of_story(story), False
    except TopicsBusyError as error:
        return Events(trouble=str(error)), True


OPERATIONS: Final[tuple[Operation, ...]] = (
    page_operation(SEARCH, show_search, Access.OPERATOR),
    page_operation(STORY, show_story, Access.OPERATOR, seconds=READ_SECONDS),
)

"""What waits to be sent, and what people have to decide about: messages that are set aside."""

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from aiohttp import web

from rules.errors import ValidationFailedError
from store.protocols.outbox import Refusal
from store.protocols.set_aside import SetAsideMessage
from telemetry.logs import get_logger
from web.calls import Call
from web.console.acting import acting, check_acting
from web.console.advice import ADVICE, Trouble
from web.console.desk import Desk
from web.console.forms import Form, form_of
from web.console.notices import N_
from web.console.operations import form_operation, page_operation
from web.console.rendering import page, see_other
from web.errors import NotFoundError
from web.identity import Access
from web.operations import Operation
from web.services import WebServices

OUTBOX: Final = "/console/operations/outbox"

#: How many refused messages a page shows, and one transaction decides about.
AT_ONCE: Final = 500
#: A decision waits for the relays that are at work in the messages' shards.
SECONDS: Final = 30.0

_NUMBER: Final = re.compile("[0-9]{1,18}")
_ACTS: Final = frozenset({"retry", "drop"})

#: Why the broker refuses, in words; another version may know other reasons.
REASONS: Final = {
    Refusal.TOO_LARGE.value: N_("larger than its topic takes"),
    Refusal.INVALID.value: N_("not as the topic's settings want it"),
}

_log: Final = get_logger(__name__)


async def show(services: WebServices, call: Call) -> web.Response:
    """Show the outbox by shard, and what is set aside."""
    return await _page(_desk(services), call)


async def decide(services: WebServices, call: Call) -> web.Response:
    """Put chosen messages back or delete them, once who chose them has seen what that does."""
    desk, form = _desk(services), form_of(call)
    act = form.text("act")
    if act not in _ACTS:
        raise ValidationFailedError
    check_acting(call)
    refused = await desk.set_aside.refused()
    chosen = _chosen(refused, form)
    if form.has("confirm"):
        return await _done(desk, call, act, chosen, set(_numbers(form)))
    if not chosen:
        return await _page(desk, call, status=HTTPStatus.BAD_REQUEST, nothing_chosen=True)
    return await page(
        call,
        "operations/outbox_decide.html",
        act=act,
        chosen=chosen,
        behind=sum(one.waiting for one in chosen),
        reasons=REASONS,
    )


async def _done(
    desk: Desk, call: Call, act: str, chosen: Sequence[SetAsideMessage], named: set[int]
) -> web.Response:
    numbers = [one.number for one in chosen]
    acting(call, f"outbox.{act}", numbers=numbers)
    work = desk.set_aside.retry if act == "retry" else desk.set_aside.drop
    done = set(await work(numbers))
    if act == "drop":
        for one in chosen:
            if one.number in done:
                _log.warning("set-aside message dropped", **_identity(one))
    notice = f"set-aside-{act}" if done == named else "set-aside-partly"
    return see_other(OUTBOX, notice)


def _chosen(refused: Sequence[SetAsideMessage], form: Form) -> list[SetAsideMessage]:
    """Return the messages that were ticked and are still there; `all`: the oldest ones."""
    if form.has("all"):
        return list(refused[:AT_ONCE])
    wanted = set(_numbers(form))
    return [one for one in refused if one.number in wanted][:AT_ONCE]


def _numbers(form: Form) -> list[int]:
    texts = form.texts("number")
    if not all(_NUMBER.fullmatch(text) for text in texts):
        raise ValidationFailedError
    return [int(text) for text in texts]


def _identity(one: SetAsideMessage) -> dict[str, object]:
    """Return which message it is, with nothing that may be personal."""
    return {
        "number": one.number,
        "event_id": one.event_id and str(one.event_id),
        "topic": one.topic,
        "size": one.size,
        "reason": one.reason,
    }


async def _page(
    desk: Desk, call: Call, *, status: HTTPStatus = HTTPStatus.OK, nothing_chosen: bool = False
) -> web.Response:
    refused = await desk.set_aside.refused()
    return await page(
        call,
        "operations/outbox.html",
        status=status,
        reading=await desk.figures.read(),
        refused=refused[:AT_ONCE],
        count=len(refused),
        reasons=REASONS,
        advice=ADVICE[Trouble.SET_ASIDE],
        nothing_chosen=nothing_chosen,
    )


def _desk(services: WebServices) -> Desk:
    if services.desk is None:
        raise NotFoundError
    return services.desk


OPERATIONS: Final[tuple[Operation, ...]] = (
    page_operation(OUTBOX, show, Access.OPERATOR),
    form_operation(OUTBOX, decide, Access.OPERATOR, seconds=SECONDS),
)

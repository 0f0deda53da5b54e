"""Dead letters: looked for, shown, replayed and dropped, with what would happen first."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from rules.dead_letters.letters import NAMES, Address, original_topic
from rules.dead_letters.messages import Reason
from rules.dead_letters.reasons import explanation
from rules.dead_letters.replays import State
from rules.dead_letters.tally import Left, LetterStatus, is_too_large
from rules.errors import StoreUnavailableError, ValidationFailedError
from rules.shown import body, printable, text
from web.calls import Call
from web.console.acting import acted, acting, looking
from web.console.away import with_topics
from web.console.desk import Desk, Done
from web.console.forms import form_of
from web.console.letters import (
    ACTS,
    Asked,
    act_named,
    addresses,
    cursor_of,
    read_asked,
    read_cursor,
)
from web.console.operations import form_operation, page_operation
from web.console.paths import own_path
from web.console.rendering import page, see_other
from web.errors import NotFoundError
from web.identity import Access
from web.operations import Operation
from web.parameters import single

LIST: Final = "/console/operations/dead-letters"
LETTER: Final = f"{LIST}/letter"
DECIDE: Final = f"{LIST}/decide"

A_PAGE: Final = 50
#: That one form decides about, and that the address of what would happen can name.
MOST_DECIDED: Final = 500
MOST_NAMED: Final = 100
#: Of a value that is shown; the command shows all of it.
MOST_SHOWN: Final = 200_000
#: Addresses in a line of the log.
_MOST_LOGGED: Final = 20

#: Reading topics takes seconds, and another reading is waited for.
LOOK_SECONDS: Final = 30.0
DECIDE_SECONDS: Final = 60.0

#: What came of a decision, as the address of the next page tells it.
_LEFT: Final[Mapping[str, Left]] = {
    "large": Left.TOO_LARGE,
    "partial": Left.NOT_WHOLE,
    "meanwhile": Left.DECIDED_MEANWHILE,
    "changed": Left.GONE_MEANWHILE,
}
_COUNT: Final = re.compile("[0-9]{1,4}")
_COUNTS: Final = ("done", *_LEFT, "missing", "trouble")


@with_topics
async def show_list(desk: Desk, call: Call) -> web.Response:
    """Show a page of letters, the newest first."""
    asked = read_asked(call.query)
    before = read_cursor(call.query)
    if asked.faults:
        return await _listed(call, asked, HTTPStatus.BAD_REQUEST)
    found = await desk.letters.page(
        asked.wanted, A_PAGE, everything=asked.everything, before=before
    )
    older = asked.query(before=cursor_of(found.after)) if found.after else None
    return await _listed(
        call,
        asked,
        found=found,
        older=older if found.after != before else None,
        is_first=before is None,
        # Without what the address may tell of the decision before.
        this=f"{LIST}?{asked.query(before=cursor_of(before)) if before else asked.query()}",
    )


async def _listed(
    call: Call, asked: Asked, status: HTTPStatus = HTTPStatus.OK, **context: object
) -> web.Response:
    values = {"found": None, "older": None, "is_first": True, **context}
    return await page(
        call,
        "operations/dead_letters.html",
        status=status,
        asked=asked,
        reasons=[reason.value for reason in Reason],
        explanation=explanation,
        printable=printable,
        result=_result(call),
        names=NAMES,
        **values,
    )


@with_topics
async def show_letter(desk: Desk, call: Call) -> web.Response:
    """Show everything of a letter but what it says."""
    [address] = _named(call)
    return await _letter(desk, call, address, with_value=False)


@with_topics
async def show_value(desk: Desk, call: Call) -> web.Response:
    """Show what a letter says, which may be about people: the log has who asked for it."""
    [address] = _named(call)
    looking(call, "value of a dead letter", letter=address.short)
    return await _letter(desk, call, address, with_value=True)


async def _letter(desk: Desk, call: Call, address: Address, *, with_value: bool) -> web.Response:
    found = await desk.letters.show(address)
    if found is None:
        return await page(
            call, "operations/no_letter.html", status=HTTPStatus.NOT_FOUND, address=address
        )
    status, record = found
    shown = body(record.value) if with_value else ""
    return await page(
        call,
        "operations/dead_letter.html",
        status_of=status,
        explained=explanation(status.letter.reason),
        printable=printable,
        key=None if record.key is None else text(record.key),
        headers=[(printable(name), text(value)) for name, value in record.headers],
        size=None if record.value is None else len(record.value),
        value=shown[:MOST_SHOWN] if with_value else None,
        is_cut=len(shown) > MOST_SHOWN,
        result=_result(call),
    )


# --- deciding -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Plan:
    """What a decision would do; without `is_all` there are more than these.

    `before` are letters decided about before, which are left out unless `again`.
    """

    chosen: Sequence[LetterStatus]
    before: Sequence[LetterStatus]
    missing: Sequence[Address] = ()
    is_all: bool = True

    @property
    def targets(self) -> list[str]:
        """The topics that replays go to."""
        return sorted({original_topic(one.letter.address.topic) for one in self.chosen})

    @property
    def reasons(self) -> list[tuple[str | None, int]]:
        """How many letters there are of each reason."""
        return Counter(one.letter.reason for one in self.chosen).most_common()

    @property
    def large(self) -> list[LetterStatus]:
        """Those that their topics would refuse."""
        return [one for one in self.chosen if is_too_large(one.letter.size)]


@with_topics
async def show_plan(desk: Desk, call: Call) -> web.Response:
    """Show what a decision would do, and ask for it."""
    decision = act_named(single(call.query, "act"))
    again = single(call.query, "again") == "yes"
    named = call.query.getall("letter", [])
    asked, back = read_asked(call.query), own_path(single(call.query, "back") or LIST)
    if asked.faults:
        raise ValidationFailedError
    if not (named or single(call.query, "all")):
        return see_other(back, "no-letters")
    plan = await (_named_plan(desk, call, again=again) if named else _found_plan(desk, asked))
    return await page(
        call,
        "operations/decide.html",
        plan=plan,
        act=ACTS[decision],
        again=again,
        is_named=bool(named),
        letters=[one.letter.address.short for one in plan.chosen],
        explanation=explanation,
        printable=printable,
        back=back,
        other=f"{DECIDE}?{_with_again(call)}",
    )


async def _named_plan(desk: Desk, call: Call, *, again: bool) -> Plan:
    given = addresses(call.query.getall("letter"), MOST_NAMED)
    found = await desk.letters.statuses(given)
    _check_known(found)
    before = [one for one in found if one.state is not State.OPEN]
    chosen = found if again else [one for one in found if one.state is State.OPEN]
    there = {one.letter.address for one in found}
    return Plan(chosen, before, [one for one in given if one not in there])


async def _found_plan(desk: Desk, asked: Asked) -> Plan:
    """Choose all that a filter finds and that nobody has decided about, as the command does."""
    found = await desk.letters.page(asked.wanted, MOST_DECIDED, everything=False, before=None)
    _check_known(found.statuses)
    chosen = [one for one in found.statuses if one.state is State.OPEN]
    before = [one for one in found.statuses if one.state is not State.OPEN]
    return Plan(chosen, before, is_all=found.after is None)


def _check_known(found: Sequence[LetterStatus]) -> None:
    """Raise StoreUnavailableError where it cannot be told what was decided."""
    if any(one.state is None for one in found):
        raise StoreUnavailableError


@with_topics
async def decide(desk: Desk, call: Call) -> web.Response:
    """Replay or drop letters; the log has who did it, and what came of it."""
    form = form_of(call)
    decision, again = act_named(form.text("act")), form.text("again") == "yes"
    given = addresses(form.texts("letter"), MOST_DECIDED)
    if not given:
        raise ValidationFailedError
    act = f"{ACTS[decision]} dead letters"
    named = [address.short for address in given[:_MOST_LOGGED]]
    acting(call, act, letters=len(given), again=again, which=named)
    done = await desk.letters.decide(given, decision, again=again)
    told = _told(done)
    acted(call, act, **told, reason=done.trouble)
    shown = {name: str(count) for name, count in told.items() if count}
    return see_other(own_path(form.text("next")), acted=ACTS[decision], **shown)


def _told(done: Done) -> dict[str, int]:
    left = Counter(done.tally.left.values())
    return {
        "done": len(done.tally.letters),
        **{name: left[why] for name, why in _LEFT.items()},
        "missing": len(done.missing),
        "trouble": int(done.trouble is not None),
    }


def _result(call: Call) -> Mapping[str, int | str] | None:
    """Return what came of the decision before this page, as its address has it."""
    act = call.query.get("acted", "")
    if act not in ACTS.values():
        return None
    return {"act": act, **{name: _count(call.query.get(name, "")) for name in _COUNTS}}


def _count(text: str) -> int:
    return int(text) if _COUNT.fullmatch(text) else 0


def _named(call: Call) -> list[Address]:
    """Return the one letter that a page is about. Raises NotFoundError."""
    try:
        return addresses([single(call.query, "letter") or ""], 1)
    except ValidationFailedError:
        raise NotFoundError from None


def _with_again(call: Call) -> str:
    pairs = [(name, value) for name, value in call.query.items() if name != "again"]
    return urlencode([*pairs, ("again", "yes")])


OPERATIONS: Final[tuple[Operation, ...]] = (
    page_operation(LIST, show_list, Access.OPERATOR, seconds=LOOK_SECONDS),
    page_operation(LETTER, show_letter, Access.OPERATOR, seconds=LOOK_SECONDS),
    form_operation(LETTER, show_value, Access.OPERATOR, seconds=LOOK_SECONDS),
    page_operation(DECIDE, show_plan, Access.OPERATOR, seconds=LOOK_SECONDS),
    form_operation(DECIDE, decide, Access.OPERATOR, seconds=DECIDE_SECONDS),
)

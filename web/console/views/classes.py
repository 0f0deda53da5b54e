"""Classes: the list, one class with its students and batches, changing and deleting it."""

from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Final
from uuid import UUID

from aiohttp import web

from rules.changes import NewClassRequest
from rules.conditions import Condition
from rules.courses import COURSES
from rules.errors import PreconditionFailedError
from rules.events.envelopes import to_json
from rules.inputs import ClassChangeInput, NewClassInput, read_json
from rules.models import ClassChange
from rules.open_batches import ClassDeletion
from web.calls import Call
from web.console.faults import REFUSALS, Faults, faults_of
from web.console.forms import Form, form_of
from web.console.notices import N_
from web.console.once import done_once, new_key
from web.console.operations import form_operation, page_operation
from web.console.people import ShownClass, read_class
from web.console.rendering import many, page, see_other
from web.operations import Operation
from web.services import WebServices
from web.views.base import only
from web.views.batches import batch_query, next_batches
from web.views.classes import class_query, next_classes

CLASSES: Final = "/console/classes"
CLASS: Final = f"{CLASSES}/{{class_id}}"

_FIELDS: Final = {"name": "name", "course_codes": "course"}
_OK: Final = HTTPStatus.OK

_STALE: Final = N_(
    "The class was changed meanwhile. Nothing of yours is saved yet: look at what stands now, and "
    "save again if yours is right."
)


@dataclass(frozen=True, slots=True)
class _Typed:
    """What a form about a class has in its fields."""

    name: str = ""
    course: str = ""

    @classmethod
    def of(cls, form: Form) -> "_Typed":
        return cls(form.text("name"), form.text("course"))

    def body(self) -> bytes:
        """Return it as the body of a request, which is read by the same rules."""
        return to_json({"name": self.name, "course_codes": [self.course]})


async def show_classes(services: WebServices, call: Call) -> web.Response:
    """Show the teacher's classes, newest first, and a form for another one."""
    return await _classes(services, call, _Typed(), {})


async def _classes(
    services: WebServices, call: Call, typed: _Typed, faults: Faults
) -> web.Response:
    found = await services.classes.list_classes(call.user, class_query(call))
    return await page(
        call,
        "classes.html",
        status=HTTPStatus.BAD_REQUEST if faults else _OK,
        classes=found.classes,
        cursor=next_classes(found),
        typed=typed,
        faults=faults,
        courses=COURSES.values(),
        once=new_key(),
    )


async def make_class(services: WebServices, call: Call) -> web.Response:
    """Make a class."""
    typed = _Typed.of(form_of(call))
    try:
        wanted = read_json(NewClassInput, typed.body())
    except REFUSALS as error:
        return await _classes(services, call, typed, faults_of(error, _FIELDS))

    async def work() -> bytes:
        request = NewClassRequest(call.caller, wanted.resolve())
        return str(only(await services.classes.create_classes([request])).id).encode()

    class_id = (await done_once(services, call, work)).decode()
    return see_other(f"{CLASSES}/{class_id}", "class-made")


async def show_class(services: WebServices, call: Call, class_id: UUID) -> web.Response:
    """Show a class."""
    cls = await read_class(services, call.user, class_id)
    return await class_page(services, call, cls)


@dataclass(frozen=True, slots=True)
class Shown:
    """What the forms on a class's page show beside the class: what was typed, what is wrong.

    `typed` is of the form that changes it, `added` of the one that adds a student to it.
    """

    typed: _Typed | None = None
    faults: Faults = field(default_factory=dict)
    is_stale: bool = False
    added: object = None
    added_faults: Faults = field(default_factory=dict)
    conflict: object = None

    @property
    def status(self) -> HTTPStatus:
        """What the answer says of it to programs."""
        if self.is_stale:
            return HTTPStatus.PRECONDITION_FAILED
        if self.conflict is not None:
            return HTTPStatus.CONFLICT
        return HTTPStatus.BAD_REQUEST if self.faults or self.added_faults else _OK


async def class_page(
    services: WebServices, call: Call, cls: ShownClass, shown: Shown | None = None
) -> web.Response:
    """Answer the page of a class."""
    shown = shown or Shown()
    query = replace(batch_query(call), class_id=cls.id)
    batches = await services.associations.list_batches(call.user, query)
    return await page(
        call,
        "class.html",
        status=shown.status,
        cls=cls,
        students=await many(call, "class_rows.html", cls.students, here=f"{CLASSES}/{cls.id}"),
        shown=shown,
        typed=shown.typed or _Typed(cls.name, cls.course),
        batches=batches.batches,
        cursor=next_batches(batches),
        courses=COURSES.values(),
        once=new_key(),
        listed={name: _count(call, name) for name in ("made", "joined")},
        has_history=services.config.changes,
    )


def _count(call: Call, name: str) -> int:
    """Return a number that another page gave, 0 for what it cannot have given."""
    text = call.query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= len("2000") else 0


async def change_class(services: WebServices, call: Call, class_id: UUID) -> web.Response:
    """Rename a class or give it another course, unless somebody else did meanwhile."""
    form = form_of(call)
    typed = _Typed.of(form)
    cls = await read_class(services, call.user, class_id)
    try:
        change = read_json(ClassChangeInput, typed.body()).resolve()
    except REFUSALS as error:
        return await class_page(services, call, cls, Shown(typed, faults_of(error, _FIELDS)))
    try:
        await _change(services, call, cls, form, change)
    except PreconditionFailedError:
        now = await read_class(services, call.user, class_id)
        return await class_page(services, call, now, Shown(typed, {"": [_STALE]}, is_stale=True))
    return see_other(f"{CLASSES}/{class_id}", "class-changed")


async def _change(
    services: WebServices, call: Call, cls: ShownClass, form: Form, change: ClassChange
) -> None:
    """Change a class that is as the form knew it; who is in it is another matter.

    Its tag covers its students, too, whom the form does not show.
    """
    was_shown = form.text("was_name"), form.text("was_course")
    tag = cls.tag if was_shown == (cls.name, cls.course) else form.text("tag")
    await services.classes.update_class(call.caller, cls.id, change, Condition(frozenset({tag})))


async def show_deletion(services: WebServices, call: Call, class_id: UUID) -> web.Response:
    """Show what deleting a class would end."""
    return await _deletion(services, call, class_id)


async def _deletion(
    services: WebServices, call: Call, class_id: UUID, *, is_stale: bool = False
) -> web.Response:
    owner_id = call.user
    ended = await services.classes.class_deletion(owner_id, class_id)
    cls = await read_class(services, owner_id, class_id)
    return await page(
        call,
        "class_delete.html",
        status=HTTPStatus.PRECONDITION_FAILED if is_stale else _OK,
        cls=cls,
        ended=ended,
        expected=_expected(ended),
        is_stale=is_stale,
    )


def _expected(ended: ClassDeletion) -> str:
    return f"{ended.batches_open} {ended.associations_pending}"


async def delete_class(services: WebServices, call: Call, class_id: UUID) -> web.Response:
    """Delete a class, if that ends what was shown."""
    form = form_of(call)
    ended = await services.classes.class_deletion(call.user, class_id)
    if form.text("expected") != _expected(ended):
        return await _deletion(services, call, class_id, is_stale=True)
    condition = Condition(frozenset({form.text("tag")}))
    try:
        await services.classes.delete_class(call.caller, class_id, condition)
    except PreconditionFailedError:
        return await _deletion(services, call, class_id, is_stale=True)
    return see_other(CLASSES, "class-deleted")


OPERATIONS: Final[tuple[Operation, ...]] = (
    page_operation(CLASSES, show_classes),
    form_operation(CLASSES, make_class),
    page_operation(CLASS, show_class),
    form_operation(CLASS, change_class),
    page_operation(f"{CLASS}/delete", show_deletion),
    form_operation(f"{CLASS}/delete", delete_class),
)

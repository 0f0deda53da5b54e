"""Makes the console's operations: what all pages have in common, and all forms."""

from http import HTTPStatus

from web.bodies import FORM, FORM_WITH_FILE, MAX_BODY
from web.console.uploads import FIELDS_BYTES
from web.identity import Access
from web.operations import Answer, Handler, Operation, Tag

_HTML = ("text/html",)


def page_operation(
    path: str, handler: Handler, access: Access = Access.TEACHER, *, seconds: float | None = None
) -> Operation:
    """Return the operation of a page; `seconds` is its deadline where it needs another one."""
    return Operation(
        "GET",
        path,
        f"show {path}",
        f"Show {path}",
        Tag.CONSOLE,
        handler,
        {HTTPStatus.OK: Answer("The page.", media_types=_HTML)},
        access=access,
        is_page=True,
        seconds=seconds,
    )


def form_operation(
    path: str,
    handler: Handler,
    access: Access = Access.TEACHER,
    *,
    seconds: float | None = None,
    file_limit: int = 0,
    plans: bool = False,
) -> Operation:
    """Return the operation of a form; `seconds` is its deadline where it needs another one.

    `file_limit`: it may bring a file of so many bytes. `plans`: as operations have it.
    """
    return Operation(
        "POST",
        path,
        f"send {path}",
        f"Send {path}",
        Tag.CONSOLE,
        handler,
        {
            HTTPStatus.SEE_OTHER: Answer("Done; a page shows it."),
            HTTPStatus.OK: Answer("A piece of the page, for its script.", media_types=_HTML),
        },
        access=access,
        is_page=True,
        uploads=(FORM_WITH_FILE, FORM) if file_limit else (),
        body_limit=file_limit + FIELDS_BYTES if file_limit else MAX_BODY,
        seconds=seconds,
        plans=plans,
    )


def file_operation(path: str, handler: Handler, *media_types: str) -> Operation:
    """Return the operation of a file to keep; where it cannot be had, a page says so."""
    return Operation(
        "GET",
        path,
        f"save {path}",
        f"Save {path}",
        Tag.CONSOLE,
        handler,
        {HTTPStatus.OK: Answer("The file.", media_types=media_types)},
        access=Access.TEACHER,
        is_page=True,
        is_large=True,
        seconds=60.0,
    )

"""Registers the views on Faust's web server."""

import re
from collections.abc import Sequence
from typing import Final

from faust.types import AppT
from faust.web.base import Web

from store.slots import Slots, undivided
from web.deadline import Deadline
from web.held import HeldBytes
from web.server import use_limits
from web.services import WebServices
from web.state import STATE, Endpoint, WebState, application
from web.unavailable import UnavailableReport
from web.views.associations import (
    AssociationHistoryView,
    ConfirmView,
    StudentAssociationsView,
    StudentAssociationView,
)
from web.views.base import ApiView
from web.views.batches import BatchesView
from web.views.classes import ClassesView, ClassView, RosterView
from web.views.courses import CoursesView
from web.views.health import HealthView, LiveView, MetricsView, ReadyView
from web.views.internal import (
    ClassInfoView,
    EssayStudentView,
    StudentNamesView,
    ValidationStatusView,
)
from web.views.students import MergeView, StudentsView, StudentView
from web.views.tables import DriftView, PendingBatchesView, PendingBatchView, TablesView
from web.views.worker import WORKER_VIEWS

VIEWS: Final[Sequence[type[ApiView]]] = (
    ClassesView,
    StudentsView,
    StudentView,
    MergeView,
    ClassView,
    RosterView,
    CoursesView,
    BatchesView,
    StudentAssociationsView,
    ConfirmView,
    StudentAssociationView,
    AssociationHistoryView,
    StudentNamesView,
    EssayStudentView,
    ClassInfoView,
    ValidationStatusView,
    TablesView,
    PendingBatchesView,
    DriftView,
    PendingBatchView,
    *WORKER_VIEWS,
    HealthView,
    LiveView,
    ReadyView,
    MetricsView,
)

# Any text may replace an id, so that the answer can say what is wrong with it. Only "students" and
# "confirm" are other paths: a GET of one must name the right method.
_VARIABLE: Final = re.compile(r"\{(\w+)\}")
_ANY_TEXT: Final = r"{\1:(?!(?:students|confirm)(?:/|$))[^/]+}"

#: The views of a process that takes no requests from teachers and services.
STREAM_VIEWS: Final[Sequence[type[ApiView]]] = VIEWS[VIEWS.index(TablesView) :]


def install(
    web: Web, app: AppT, services: WebServices, views: Sequence[type[ApiView]] = VIEWS
) -> None:
    """Register views on `web` (`app.web`), with and without a trailing slash.

    Call this once, after building the App with middleware.application_options() and before its
    server starts.
    """
    config = services.config
    limits = config.limits
    application(web)[STATE] = WebState(
        services,
        _endpoints(views),
        Deadline(config.timeout_seconds),
        HeldBytes(limits.held_bytes),
        Slots(limits.large_reads, undivided(limits.large_reads)),
        UnavailableReport(services.metrics),
    )
    use_limits(web, limits, services.metrics)
    for view_class in views:
        view = view_class(app, web)
        _register(web, view)
        for method in view.get_methods() - {"HEAD"}:
            services.metrics.expect_requests(method, view.view_path)


def _endpoints(views: Sequence[type[ApiView]]) -> dict[str, Endpoint]:
    return {
        path: Endpoint(view.view_path, view.access, view.body_limit, view.is_large)
        for view in views
        for path in (view.view_path, f"{view.view_path}/")
    }


def _register(web: Web, view: ApiView) -> None:
    pattern = _VARIABLE.sub(_ANY_TEXT, view.view_path)
    web.route(pattern, view)
    web.route(f"{pattern}/", view)
    web.views[view.view_path] = view
    web.reverse_names[type(view).__name__] = view.view_path

"""The steps of a batch's story in words."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rules.models import Method
from rules.shown import printable
from rules.story import Step, What
from web.console.languages import Speech
from web.console.notices import N_

NAMES: Final[Mapping[What, str]] = {
    What.RECEIVED: N_("received"),
    What.PARKED: N_("parked"),
    What.SUGGESTED: N_("suggested"),
    What.ARMED: N_("waits for a decision"),
    What.NOTIFIED: N_("the teacher was told"),
    What.DECIDED: N_("decided"),
    What.CORRECTED: N_("corrected"),
    What.CLASS_DELETED: N_("class deleted"),
    What.CLOSED: N_("closed"),
    What.EVENT: N_("event sent"),
    What.UNSENT: N_("not sent yet"),
    What.SET_ASIDE: N_("set aside"),
    What.DEAD_LETTER: N_("dead letter"),
}

#: Who decides where nobody does.
WHO: Final[Mapping[str, str]] = {
    Method.TIMEOUT.value: N_("by the clock"),
    Method.AUTO.value: N_("by the service, being certain"),
}


def in_words(ui: Speech, step: Step) -> tuple[str, list[str]]:
    """Return a step's name, and what it says: counts, by whom, until when, where it lies."""
    details = step.details
    told = [*_kind(details), *_place(ui, details), *_who(ui, details), *_counts(ui, details)]
    return ui.text(NAMES[step.what]), [*told, *_instants(ui, details), *_causes(ui, details)]


def who_of(ui: Speech, method: str, by: str) -> str:
    """Return who decided something."""
    known = WHO.get(method)
    return ui.text(known) if known else ui.text("by %(who)s", who=printable(by))


def _kind(details: Mapping[str, Any]) -> Iterable[str]:
    return [printable(str(details[name])) for name in ("kind", "reason") if details.get(name)]


def _place(ui: Speech, details: Mapping[str, Any]) -> Iterable[str]:
    if "offset" in details:
        yield f"{details['topic']}/{details['partition']}/{details['offset']}"
    elif "topic" in details:
        yield details["topic"]
    if details.get("event_id"):
        yield ui.text("event id %(id)s", id=details["event_id"])
    if "number" in details:
        yield ui.text("number %(number)s", number=details["number"])


def _who(ui: Speech, details: Mapping[str, Any]) -> Iterable[str]:
    if details.get("by"):
        yield who_of(ui, details.get("method", ""), details["by"])


def _counts(ui: Speech, details: Mapping[str, Any]) -> Iterable[str]:
    if "essays" in details:
        yield ui.plural("%(num)s essay", "%(num)s essays", details["essays"])
    if count := details.get("suggested"):
        yield ui.text("%(count)s with a suggestion", count=ui.number(count))
    if count := details.get("unmatched"):
        yield ui.plural("%(num)s without a match", "%(num)s without a match", count)
    if count := details.get("withdrawn"):
        yield ui.text("%(count)s with a student who is gone", count=ui.number(count))
    if count := details.get("confirmed"):
        yield ui.plural("%(num)s confirmed", "%(num)s confirmed", count)
    if count := details.get("rejected"):
        yield ui.plural("%(num)s rejected", "%(num)s rejected", count)


def _instants(ui: Speech, details: Mapping[str, Any]) -> Iterable[str]:
    if "deadline" in details:
        yield ui.text("until %(at)s", at=ui.when(details["deadline"]))
    if "next_try_at" in details:
        yield ui.text("next try %(at)s", at=ui.when(details["next_try_at"]))
    if "attempts" in details:
        yield ui.plural("%(num)s attempt", "%(num)s attempts", details["attempts"])


def _causes(ui: Speech, details: Mapping[str, Any]) -> Iterable[str]:
    if "replay_of" in details:
        yield ui.text("a replay of %(letter)s", letter=details["replay_of"])
    if details.get("class_id"):
        yield ui.text("class %(id)s", id=details["class_id"])

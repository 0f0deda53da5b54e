"""What is counted from 0 is what the rooms above count: `telemetry` cannot import their words."""

from agents.consumers import changelog, commands, hole_reader, suggestions, timers
from agents.jobs import imports, parked, real_time
from rules.commands.results import CommandStatus
from rules.errors import Cause
from rules.events.timers import ARMED, CLEARED
from rules.imports.applying import LeftOut
from rules.open_batches import Ending
from rules.suggestions import Outcome
from store.protocols.outbox import Refusal
from telemetry import series
from telemetry.metrics import Metrics
from web.claims import TokenFault


def test_the_outcomes_of_each_agent_are_those_of_the_rules() -> None:
    dead_lettered = {Outcome.DEAD_LETTERED.value}
    of_suggestions = {outcome.value for outcome in Outcome}
    assert {agent: set(outcomes) for agent, outcomes in series.OUTCOMES.items()} == {
        suggestions.AGENT: of_suggestions,
        commands.AGENT: {status.value for status in CommandStatus} | dead_lettered,
        timers.AGENT: {ARMED, CLEARED} | dead_lettered,
        changelog.AGENT: dead_lettered,
        parked.AGENT: of_suggestions,
        real_time.AGENT: {"pushed", "dropped"},
    }


def test_what_retries_is_named_as_it_names_itself() -> None:
    assert {suggestions.AGENT, commands.AGENT, timers.AGENT} == set(series.READERS)
    assert set(series.READING) - set(series.READERS) == {changelog.AGENT}
    assert set(series.RETRYING) - set(series.READING) == {hole_reader.COMPONENT, "relay"}


def test_refusals_are_those_of_the_broker() -> None:
    assert set(series.REFUSALS) == {refusal.value for refusal in Refusal}


def test_why_open_batches_are_closed_is_as_the_rules_say() -> None:
    assert tuple(Ending) == series.ENDINGS


def test_what_becomes_of_the_classes_of_imports_is_as_the_rules_say() -> None:
    assert (imports.APPLIED, *LeftOut) == series.IMPORT_CLASSES


def test_the_causes_of_a_503_are_those_of_the_rules() -> None:
    assert tuple(Cause) == series.CAUSES


def test_why_tokens_are_refused_is_as_the_web_says() -> None:
    assert tuple(TokenFault) == series.TOKEN_FAULTS


def test_the_series_whose_labels_are_known_are_there_before_anything_happens() -> None:
    registry = Metrics().registry
    for name, labels in (
        ("messages_total", {"agent": "commands", "outcome": "dead_lettered"}),
        ("replays_total", {"agent": "timers", "outcome": "armed"}),
        ("stream_holes_total", {"agent": "suggestions", "content": "messages"}),
        ("unavailable_total", {"cause": "busy"}),
        ("retries_total", {"component": "relay"}),
        ("offsets_lost_total", {"agent": "changelog"}),
        ("batch_messages_count", {"agent": "suggestions"}),
    ):
        assert registry.get_sample_value(f"class_management_{name}", labels) == 0.0

"""The AsyncAPI document: valid, about every topic, and true.

What the whole suite publishes is compared with the models, from which the document is made, by
tests/support/published.py.
"""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, Final, get_args

import pytest
from jsonschema import Draft7Validator, Draft202012Validator
from jsonschema.protocols import Validator

from agents.kafka.topic_specs import specs
from rules import topics
from rules.commands.orders import CommandName, Refused
from rules.dead_letters.messages import DeadLetter, Reason, dead_letter_message
from rules.events.schemas.catalogue import EVENTS, PUSHES
from rules.messages.commands import CommandData, CommandEnvelope, parse_command
from rules.messages.suggestions import MatchesSuggestedEnvelope, parse_suggestions
from rules.models import Record
from tests.support import published
from tests.unit.rules.strategies import NOW
from web.documents import event_examples as examples
from web.documents.asyncapi import REDIS_CHANNEL, STREAM, document
from web.documents.served import as_text

Json = dict[str, Any]

SPECIFICATION: Final = Path(__file__).parent / "asyncapi-spec" / "asyncapi-3.0.0.json"
#: As it is served, not as Python has it.
DOCUMENT: Final[Json] = json.loads(as_text(document()))
MESSAGES: Final[Json] = DOCUMENT["components"]["messages"]
CHANNELS: Final[Json] = DOCUMENT["channels"]


@pytest.fixture(scope="module")
def specification() -> Validator:
    return Draft7Validator(json.loads(SPECIFICATION.read_text(encoding="utf-8")))


def by_schema(schema: Json) -> Validator:
    """Return what checks against a schema of the document, with its references."""
    return Draft202012Validator(
        {**schema, "components": DOCUMENT["components"]},
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )


def of_topic(topic: str) -> Json:
    [channel] = (one for one in CHANNELS.values() if one["address"] == topic)
    found: Json = channel
    return found


def messages_of(channel: Json) -> list[Json]:
    return [MESSAGES[ref["$ref"].rpartition("/")[2]] for ref in channel["messages"].values()]


def references(value: object) -> Iterator[str]:
    match value:
        case {"$ref": str(ref)}:
            yield ref
        case dict():
            for one in value.values():
                yield from references(one)
        case list():
            for one in value:
                yield from references(one)
        case _:
            pass


# --- valid -------------------------------------------------------------------------------------


def test_document_is_valid_by_the_specifications_schema(specification: Validator) -> None:
    assert [error.json_path for error in specification.iter_errors(DOCUMENT)] == []


@pytest.mark.parametrize("part", ["channels", "operations", "servers", "components"])
def test_what_the_specification_does_not_know_is_found(specification: Validator, part: str) -> None:
    broken = deepcopy(DOCUMENT)
    next(iter(broken[part].values()))["addres"] = "misspelt"
    assert not specification.is_valid(broken)


def test_every_reference_leads_somewhere() -> None:
    for ref in set(references(DOCUMENT)):
        found: Any = DOCUMENT
        for part in ref.removeprefix("#/").split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]


def test_document_is_the_same_each_time() -> None:
    assert as_text(document()) == as_text(DOCUMENT)


# --- about every topic -------------------------------------------------------------------------


def test_every_topic_is_in_it_and_it_has_no_other() -> None:
    letters = [topics.dead_letter_topic(topic) for topic in topics.CONSUMED]
    wanted = [*topics.PUBLISHED, *topics.CONSUMED, *letters, REDIS_CHANNEL, STREAM]
    assert sorted(one["address"] for one in CHANNELS.values()) == sorted(wanted)


def test_every_channel_has_its_operation() -> None:
    does: dict[str, set[str]] = {"send": set(), "receive": set()}
    for operation in DOCUMENT["operations"].values():
        channel = CHANNELS[operation["channel"]["$ref"].rpartition("/")[2]]
        does[operation["action"]].add(channel["address"])
    assert does["receive"] == set(topics.CONSUMED)
    assert does["send"] == {one["address"] for one in CHANNELS.values()} - does["receive"]


def test_topics_are_described_as_they_are_made() -> None:
    for spec in specs(topics.PARTITIONS, "some-changelog"):
        if spec.name in (topics.TIMERS, f"{topics.TIMERS}.dlt", "some-changelog"):
            continue
        binding = of_topic(spec.name)["bindings"]["kafka"]
        set_there = {
            name: value[0] if isinstance(value, list) else str(value)
            for name, value in binding["topicConfiguration"].items()
        }
        assert (binding["topic"], binding["partitions"]) == (spec.name, spec.partitions)
        assert set_there == {name: spec.config[name] for name in set_there}


def test_every_model_is_a_message_and_the_other_way_round() -> None:
    assert EVENTS.keys() == set(topics.PUBLISHED)
    models = [model.__name__ for of in EVENTS.values() for model in of]
    pushes = [model.__name__ for model in PUSHES.values()]
    letters = ["matchesSuggestedDeadLetters", "commandsDeadLetters"]
    others = ["BatchAuthorMatchesSuggestedV1", *CommandName, *letters]
    assert sorted(MESSAGES) == sorted([*models, *pushes, *others])
    assert set(MESSAGES) == {
        ref.rpartition("/")[2] for ref in references(CHANNELS) if "/messages/" in ref
    }


def test_every_reason_of_a_dead_letter_is_named() -> None:
    letter = of_topic(topics.dead_letter_topic(topics.COMMANDS))
    [message] = messages_of(letter)
    record = Record(topics.COMMANDS, 1, 2, 3, None, b"{", ())
    for reason in Reason:
        headers = dead_letter_message(DeadLetter(record, reason, "no JSON"), NOW).headers
        sent = {name: value.decode() for name, value in headers}
        by_schema(message["headers"]).validate(sent)
        assert sent.keys() <= message["headers"]["properties"].keys()


# --- true --------------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", topics.PUBLISHED)
def test_example_of_an_event_is_what_is_published(topic: str) -> None:
    made = [message for message in examples.published() if message.topic == topic]
    for one in made:
        faults = published.faults_of_message(topic, one.key, one.value, one.headers)
        assert faults == []
    for message in messages_of(of_topic(topic)):
        [example] = message["examples"]
        assert example in [examples.as_example(one) for one in made]
        by_schema(message["payload"]).validate(example["payload"])
        by_schema(message["headers"]).validate(example["headers"])


def test_example_of_a_push_is_what_is_pushed() -> None:
    for message in messages_of(of_topic(REDIS_CHANNEL)):
        [example] = message["examples"]
        assert published.faults_of_push(example["payload"]) == []
        by_schema(message["payload"]).validate(example["payload"])


@pytest.mark.parametrize("name", CommandName)
def test_example_of_a_command_is_taken(name: CommandName) -> None:
    [example] = MESSAGES[name]["examples"]
    value = json.dumps(example["payload"]).encode()
    command = parse_command(Record(topics.COMMANDS, 0, 0, 0, b"teacher-1", value, ()))
    assert command.name is name
    assert not isinstance(command.order, Refused)
    by_schema(MESSAGES[name]["payload"]).validate(example["payload"])


def test_example_of_suggestions_is_taken() -> None:
    message = MESSAGES["BatchAuthorMatchesSuggestedV1"]
    [example] = message["examples"]
    value = json.dumps(example["payload"]).encode()
    read = parse_suggestions(Record(topics.MATCHES_SUGGESTED, 0, 0, 0, b"k", value, ()))
    assert [len(result.suggestions) for result in read.results] == [1, 0]
    by_schema(message["payload"]).validate(example["payload"])


def test_commands_and_suggestions_are_described_by_what_reads_them() -> None:
    assert CommandEnvelope.model_fields["data"].annotation == CommandData
    models = {model.__name__ for model in get_args(CommandData)}
    described = {
        ref.rpartition("/")[2] for name in CommandName for ref in references(MESSAGES[name])
    }
    assert models <= described
    suggestions = references(MESSAGES["BatchAuthorMatchesSuggestedV1"]["payload"])
    assert set(suggestions) == {f"#/components/schemas/{MatchesSuggestedEnvelope.__name__}"}


def test_what_a_command_must_have_is_as_its_parser_says() -> None:
    for name in CommandName:
        [example] = MESSAGES[name]["examples"]
        schema = by_schema(MESSAGES[name]["payload"])
        for member in example["payload"]["data"]:
            less = deepcopy(example["payload"])
            del less["data"][member]
            value = json.dumps(less).encode()
            assert schema.is_valid(less) == _is_taken(value), (name, member)


def _is_taken(value: bytes) -> bool:
    try:
        CommandEnvelope.model_validate_json(value)
    except ValueError:
        return False
    return True


def test_members_may_be_added() -> None:
    example = deepcopy(MESSAGES["ClassCreatedV1"]["examples"][0]["payload"])
    example["data"]["more"] = 1
    by_schema(MESSAGES["ClassCreatedV1"]["payload"]).validate(example)


# --- the check of all messages itself ----------------------------------------------------------


def test_what_differs_from_its_model_is_found() -> None:
    [message, *_] = examples.published()
    topic, key, headers = message.topic, message.key, message.headers
    envelope: Json = json.loads(message.value or b"")

    def faults(**changes: object) -> list[str]:
        value = json.dumps({**envelope, **changes}).encode()
        return published.faults_of_message(topic, key, value, headers)

    assert faults() == []
    assert faults(more=1) == ["more: Extra inputs are not permitted"]
    assert faults(data={**envelope["data"], "more": 1}) == ["more: Extra inputs are not permitted"]
    less = {name: value for name, value in envelope["data"].items() if name != "class_id"}
    assert faults(data=less) == ["class_id: Field required"]
    assert faults(event_type="other") != []
    assert published.faults_of_message(topic, b"other", message.value, headers) != []
    assert published.faults_of_message(topic, key, message.value, headers[1:]) != []
    assert published.faults_of_push({"event": "class_created", "data": {}}) != []
    assert published.faults_of_push({"event": "other"}) == ["no model of other"]

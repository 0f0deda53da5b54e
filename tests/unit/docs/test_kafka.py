"""docs/kafka.md names the topics that there are, with their messages, and ACLs for all of them."""

import itertools
import re
from collections import defaultdict
from typing import Final

from devstack.stack import REPOSITORY
from rules import topics
from tables.names import changelog_topic
from tests.unit.docs.documents import fences
from web.documents.asyncapi import document
from web.documents.channels import CONSUMED, PUBLISHED

PAGE: Final = (REPOSITORY / "docs" / "kafka.md").read_text(encoding="utf-8")
CHANGELOG: Final = changelog_topic(topics.GROUP)
SERVICE: Final = "User:class-management"

_ROW: Final = re.compile(r"^\| `([\w.-]+)` \| ([\w ,]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
_COMMAND: Final = re.compile(r"^kafka-acls\.sh (.+?)(?=^kafka-acls|\Z)", re.MULTILINE | re.DOTALL)


def rows() -> dict[str, tuple[str, str, str]]:
    return {topic: (does, key, what) for topic, does, key, what in _ROW.findall(PAGE)}


def allowed(principal: str) -> dict[str, set[str]]:
    """Return what the page's commands allow an account to do with each topic and group."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for block in fences(PAGE, ""):
        for command in _COMMAND.findall(block):
            words = command.replace("\\\n", " ").split()
            pairs = [*itertools.pairwise(words)]
            if ("--allow-principal", principal) in pairs:
                operations = {value for name, value in pairs if name == "--operation"}
                for name, value in pairs:
                    if name in {"--topic", "--group"}:
                        found[value] |= operations
    return found


def test_every_topic_is_listed_and_no_other() -> None:
    assert sorted(rows()) == sorted([*topics.ALL, CHANGELOG])


def test_it_says_who_writes_and_who_reads() -> None:
    for topic, (does, _, _) in rows().items():
        if topic in topics.PUBLISHED:
            assert does == "writes"
        elif topic in topics.CONSUMED:
            assert does == "reads"
        else:
            own = topic.startswith(topics.TIMERS) or topic == CHANGELOG
            assert does == ("its own" if own else "writes, reads")


def test_messages_and_keys_are_those_of_the_asyncapi_document() -> None:
    messages = document()["components"]["messages"]
    for channel in PUBLISHED:
        _, key, what = rows()[channel.topic]
        names = document()["channels"][channel.name]["messages"]
        assert {messages[name]["name"] for name in names} == {what}
        plain = channel.key.description.replace("'s id", " id").removeprefix("The ")
        assert plain.replace("`event_id`", "event id").lower() == key.lower()
    assert [rows()[channel.topic][0] for channel in CONSUMED] == ["reads", "reads"]


def test_the_service_is_allowed_what_it_does_and_no_more() -> None:
    both = (*topics.CONSUMED, *topics.DEAD_LETTER, topics.TIMERS, CHANGELOG)
    wanted = {
        **{topic: {"Read", "Write", "DescribeConfigs"} for topic in both},
        **{topic: {"Write", "DescribeConfigs"} for topic in topics.PUBLISHED},
        topics.GROUP: {"Read"},
    }
    assert allowed(SERVICE) == wanted


def test_others_are_allowed_what_they_need() -> None:
    assert allowed("User:school-service") == {
        topics.COMMANDS: {"Write"},
        topics.COMMAND_RESULTS: {"Read"},
    }
    assert allowed("User:nlp-service") == {topics.MATCHES_SUGGESTED: {"Write"}}


def test_it_says_that_writers_of_commands_may_act_for_anyone() -> None:
    assert f"Whoever may write to `{topics.COMMANDS}` may act for anyone." in PAGE

"""`class-management dlt` without a service. What it does with one: tests/stream/test_dlt.py."""

import re
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, cast
from uuid import UUID

import pytest

from agents.dead_letters import actions
from agents.dead_letters.log import DeadLetterLog
from agents.dead_letters.status import statuses
from agents.kafka.config import MAX_MESSAGE_BYTES
from class_management.cli.dlt import documents, report
from devstack.stack import REPOSITORY
from rules import topics
from rules.dead_letters.filters import Filter, in_order, instant, topic_named
from rules.dead_letters.letters import Address, Letter, read_letter
from rules.dead_letters.messages import DeadLetter, Reason, dead_letter_message
from rules.dead_letters.reasons import ABSENT, EXPLANATIONS, UNKNOWN, explanation
from rules.dead_letters.replays import Decided, LetterDecision, State
from rules.dead_letters.tally import Left, LetterStatus, Tally, failures
from rules.models import Policy, Record, Undecodable
from rules.shown import body, text
from store.memory.dead_letters import MemoryDeadLetters
from store.memory.state import MemoryStore
from tests.support import command_line
from tests.support.command_line import nowhere

TROUBLE: Final = 2
NOW: Final = datetime(2026, 11, 20, 8, 15, tzinfo=UTC)
DEAD: Final = topics.dead_letter_topic(topics.MATCHES_SUGGESTED)
ID: Final = UUID("11111111-1111-4111-8111-000000000001")


def run(*arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    away = nowhere()
    own = {
        "KAFKA_BOOTSTRAP_SERVERS": away,
        "DATABASE_URL": f"postgresql://nobody@{away}/none",
        **settings,
    }
    return command_line.run_forked("dlt", *arguments, **own)


def buried(
    offset: int = 0,
    value: bytes | None = b"{",
    reason: Reason = Reason.UNREADABLE,
    at: datetime = NOW,
    key: bytes | None = b"key",
) -> Record:
    """Return a dead letter as it lies in its topic."""
    taken = Record(topics.MATCHES_SUGGESTED, 3, offset + 40, 0, key, value, (("h", b"1"),))
    message = dead_letter_message(DeadLetter(taken, reason, "no JSON"), at)
    return Record(message.topic, 3, offset, offset, key, value, message.headers)


def letter(**given: object) -> Letter:
    return read_letter(buried(**given))  # type: ignore[arg-type]


# --- which letters --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-20T08:00:00Z", datetime(2026, 11, 20, 8, tzinfo=UTC)),
        ("2026-11-20T09:00:00+01:00", datetime(2026, 11, 20, 8, tzinfo=UTC)),
        ("2026-11-20 08:00", datetime(2026, 11, 20, 8, tzinfo=UTC)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
        ("0s", NOW),
        ("90s", NOW - timedelta(seconds=90)),
        ("30m", NOW - timedelta(minutes=30)),
        ("30min", NOW - timedelta(minutes=30)),
        (" 2h ", NOW - timedelta(hours=2)),
        ("7d", NOW - timedelta(days=7)),
        ("2w", NOW - timedelta(days=14)),
    ],
)
def test_instants_and_how_long_ago(text: str, expected: datetime) -> None:
    assert instant(text, NOW) == expected


@pytest.mark.parametrize(
    "text", ["", "h", "2", "-2h", "2 h", "1.5h", "yesterday", "999999w", "\uff12h"]
)
def test_what_is_no_instant(text: str) -> None:
    with pytest.raises(ValueError, match="30m, 2h, 7d"):
        instant(text, NOW)


@pytest.mark.parametrize("name", ["suggestions", DEAD, topics.MATCHES_SUGGESTED])
def test_a_topic_goes_by_three_names(name: str) -> None:
    assert topic_named(name) == DEAD


def test_another_topic_is_refused() -> None:
    with pytest.raises(ValueError, match="suggestions, commands, timers"):
        topic_named(topics.CLASS_CREATED)


@pytest.mark.parametrize(
    ("wanted", "passes"),
    [
        (Filter(), True),
        (Filter(topics=frozenset({DEAD})), True),
        (Filter(topics=frozenset({topics.dead_letter_topic(topics.TIMERS)})), False),
        (Filter(reasons=frozenset({"unreadable", "batch_closed"})), True),
        (Filter(reasons=frozenset({"batch_closed"})), False),
        (Filter(since=NOW, until=NOW + timedelta(seconds=1)), True),
        (Filter(since=NOW + timedelta(seconds=1)), False),
        (Filter(until=NOW), False),
        (Filter(key="key"), True),
        (Filter(key="ke"), False),
        (Filter(key="key", reasons=frozenset({"batch_closed"})), False),
    ],
)
def test_a_filter_lets_through_what_meets_all_of_it(wanted: Filter, *, passes: bool) -> None:
    assert wanted.passes(letter()) is passes
    assert wanted.is_empty is (wanted == Filter())


def test_only_topics_that_were_asked_for_are_searched() -> None:
    assert Filter(topics=frozenset({DEAD})).searched == [DEAD]
    assert tuple(Filter().searched) == topics.DEAD_LETTER


def test_the_newest_stands_last() -> None:
    old, new = letter(offset=7), letter(offset=2, at=NOW + timedelta(seconds=1))
    same = letter(offset=8)
    assert in_order([new, same, old]) == [old, same, new]


# --- what is shown --------------------------------------------------------------------------------


def test_the_reasons_of_the_documentation_are_those_of_the_command() -> None:
    text = (REPOSITORY / "docs" / "operating.md").read_text(encoding="utf-8")
    section = text.split("### Dead letters\n")[1].split("\n#")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \|$", section, re.MULTILINE)
    assert {name: (means, do) for name, means, do in rows} == {
        reason.value: (told.meaning, told.remedy) for reason, told in EXPLANATIONS.items()
    }


def test_every_reason_is_explained_and_others_are_said_to_be_unknown() -> None:
    assert EXPLANATIONS.keys() == set(Reason)
    assert explanation("batch_closed").remedy.startswith("Drop it")
    assert explanation("of_tomorrow") == UNKNOWN
    assert explanation(None) == ABSENT


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (LetterStatus(letter(), None), "?"),
        (LetterStatus(letter(), State.OPEN), "open"),
        (
            LetterStatus(replace(letter(), replayed_from=Address(DEAD, 3, 9)), State.OPEN),
            "open, replay of suggestions/3/9 that failed",
        ),
        (
            LetterStatus(letter(), State.DROPPED, Decided(ID, LetterDecision.DROPPED, NOW)),
            "dropped 2026-11-20T08:15:00Z",
        ),
        (
            LetterStatus(letter(), State.UNDERWAY, Decided(ID, LetterDecision.REPLAYED, NOW, ID)),
            "replayed 2026-11-20T08:15:00Z, not handled yet",
        ),
        (
            LetterStatus(
                letter(), State.UNDERWAY, Decided(ID, LetterDecision.REPLAYED, NOW, ID, "parked")
            ),
            "replayed 2026-11-20T08:15:00Z, waits for a class or student",
        ),
        (
            LetterStatus(
                letter(), State.TAKEN, Decided(ID, LetterDecision.REPLAYED, NOW, ID, "stored")
            ),
            "replayed 2026-11-20T08:15:00Z, stored",
        ),
        (
            LetterStatus(
                letter(),
                State.FAILED,
                Decided(ID, LetterDecision.REPLAYED, NOW, ID, "dead_lettered", "batch_closed"),
                Address(DEAD, 3, 9),
            ),
            "replayed 2026-11-20T08:15:00Z, failed again as suggestions/3/9: batch_closed",
        ),
    ],
)
def test_how_a_letter_stands_is_said_in_words(status: LetterStatus, words: str) -> None:
    assert report.state_in_words(status) == words


async def test_a_failed_replay_is_found_by_its_id() -> None:
    first = letter()
    again = replace(letter(offset=9), replay_id=ID, replayed_from=first.address)
    store = MemoryStore(Policy(), lambda: NOW)
    store.decisions[first.id] = Decided(
        first.id, LetterDecision.REPLAYED, NOW, ID, "dead_lettered", "unreadable", NOW
    )
    found = await statuses([first, again], MemoryDeadLetters(store), failures([first, again]))
    assert [one.state for one in found] == [State.FAILED, State.OPEN]
    assert [one.is_settled for one in found] == [True, False]
    assert found[0].again_as == again.address
    shown = documents.of_list(found[0])
    assert (shown["state"], shown["failed_again_as"]) == ("failed again", "suggestions/3/9")
    assert documents.of_list(found[1])["replay_of"] == "suggestions/3/0"


def test_a_list_says_nothing_of_the_content(capsys: pytest.CaptureFixture[str]) -> None:
    record = buried(value=b'{"event_id": "%s", "n": "Hemlig"}' % str(ID).encode(), key=b"Hemlig")
    status = LetterStatus(read_letter(record), State.OPEN)
    report.table([status])
    report.summary([status])
    shown = capsys.readouterr().out
    assert str(ID) in shown
    assert "Hemlig" not in shown + str(documents.of_list(status))
    report.letter(status, record, with_body=False)
    assert "Hemlig" not in capsys.readouterr().out.replace("key         Hemlig", "")
    document = documents.of_show(status, record, with_body=False)
    assert "body" not in document
    assert documents.of_show(status, record, with_body=True)["body"]["n"] == "Hemlig"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (b"", "(empty)"),
        (b'{"a":["\xc3\xa5"]}', '{\n  "a": [\n    "å"\n  ]\n}'),
        (b"no JSON\r\n\x1b[31mred", "no JSON\\r\n\\x1b[31mred"),
        ('{"a": "\u009b31m\u202e"}'.encode(), '{\n  "a": "\\x9b31m\\u202e"\n}'),
        (b"\xff\x00A", f"00000000  {'ff 00 41':<47}  ..A"),
    ],
)
def test_a_body_is_readable_and_harmless(value: bytes | None, shown: str) -> None:
    assert body(value) == shown


@pytest.mark.parametrize(
    ("raw", "shown"), [(b"a b", "a b"), (b"\xff\x00", "0xff00"), (b"\x1b[2J", "\\x1b[2J")]
)
def test_keys_and_headers_are_harmless(raw: bytes, shown: str) -> None:
    assert text(raw) == shown


def test_markup_and_emoji_codes_of_others_stay_text(capsys: pytest.CaptureFixture[str]) -> None:
    odd = replace(letter(), reason="[red]:smile:[/red]")
    report.table([LetterStatus(odd, State.OPEN)])
    assert "[red]:smile:[/red]" in capsys.readouterr().out


# --- what is done ---------------------------------------------------------------------------------


class Log:
    """A topic that holds these records."""

    def __init__(self, *records: Record) -> None:
        self._records = records

    async def at(self, addresses: Sequence[Address]) -> object:
        for record in self._records:
            if Address(record.topic, record.partition, record.offset) in addresses:
                yield record


async def replayed(store: MemoryStore, there: Sequence[Record], letters: Sequence[Letter]) -> Tally:
    done = Tally()
    log = cast("DeadLetterLog", Log(*there))
    await actions.replay(log, MemoryDeadLetters(store), letters, done, again=False)
    return done


async def test_portions_are_bounded_and_keep_the_order() -> None:
    store = MemoryStore(Policy(), lambda: NOW)
    count = 2 * actions.LETTERS_AT_ONCE + 1
    records = [buried(offset=offset) for offset in range(count)]
    done = await replayed(store, records, [read_letter(record) for record in records])
    assert [one.address.offset for one in done.letters] == list(range(count))
    [shard] = [shard for shard in store.outbox if shard]
    before = [one.pack for one in shard.values()]
    assert sum(len(pack.messages) for pack in before) == count
    again = await replayed(store, records, done.letters[:2])
    assert set(again.left.values()) == {Left.DECIDED_MEANWHILE}
    assert [one.pack for one in shard.values()] == before


async def test_what_is_gone_or_too_large_is_left_as_it_is() -> None:
    store = MemoryStore(Policy(), lambda: NOW)
    beyond = MAX_MESSAGE_BYTES + 1
    large, gone, fine, not_whole = (
        buried(offset=1, value=b"x" * (MAX_MESSAGE_BYTES - 1000)),
        buried(offset=2),
        buried(offset=3, value=b"x" * (MAX_MESSAGE_BYTES - 2000)),
        replace(buried(offset=4, value=b"x" * beyond), value=None),
    )
    made_anew = replace(gone, value=b"another")
    letters = [read_letter(record) for record in (large, gone, fine, not_whole)]
    done = await replayed(store, [large, made_anew, fine, not_whole], letters)
    assert [one.address.offset for one in done.letters] == [3]
    assert {one.address.offset: why for one, why in done.left.items()} == {
        1: Left.TOO_LARGE,
        2: Left.GONE_MEANWHILE,
        4: Left.NOT_WHOLE,
    }


async def test_a_batch_that_cannot_be_decoded_has_nothing_to_replay() -> None:
    store = MemoryStore(Policy(), lambda: NOW)
    batch = Record(
        topics.COMMANDS, 3, 44, 0, None, None, (), undecodable=Undecodable(40, "broken checksum")
    )
    message = dead_letter_message(DeadLetter(batch, Reason.UNDECODABLE, "broken checksum"), NOW)
    lying = Record(message.topic, 3, 1, 0, None, None, message.headers)
    done = await replayed(store, [lying], [read_letter(lying)])
    assert done.letters == []
    assert list(done.left.values()) == [Left.NOT_WHOLE]
    assert not any(store.outbox)


# --- as it is called ------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [(), ("list",), ("show",), ("replay",), ("drop",)])
def test_every_command_has_help_and_says_its_exit_codes(command: tuple[str, ...]) -> None:
    done = run(*command, "--help")
    assert done.returncode == 0
    assert not command or "Exit codes: 0" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "x/1/1"), "suggestions, commands, timers"),
        (("show", "suggestions/1"), "looks like suggestions/3/42"),
        (("list", "--reason", "none"), "batch_closed"),
        (("list", "--topic", "none"), "suggestions, commands"),
        (("list", "--since", "yesterday"), "--since"),
        (("list", "--limit", "0"), "--limit"),
        (("replay",), "Give LETTERs, or filters"),
        (("drop", "--yes"), "Give LETTERs, or filters"),
        (("replay", "suggestions/1/1", "--key", "x"), "either LETTERs or filters"),
        (("replay", "--key", "x", "--again"), "--again needs LETTERs"),
        (("replay", "suggestions/1/1", "--timeout", "0"), "--timeout"),
    ],
)
def test_a_wrong_call_is_told_before_anything_is_asked(
    arguments: tuple[str, ...], said: str
) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (TROUBLE, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments", [("list",), ("show", "suggestions/1/1"), ("replay", "suggestions/1/1")]
)
def test_no_kafka_is_trouble_in_one_line(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (TROUBLE, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("class-management: Kafka at 127.0.0.1")


def test_nothing_can_be_decided_in_the_memory_of_another_process() -> None:
    done = run("drop", "suggestions/1/1", USE_MOCK_REPOSITORY="true")
    assert (done.returncode, done.stdout) == (TROUBLE, "")
    assert "USE_MOCK_REPOSITORY" in done.stderr

"""Dead letters on operators' pages: found, shown, replayed and dropped."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlencode

import pytest
from structlog.testing import capture_logs

from rules import topics
from rules.dead_letters.letters import Address
from rules.dead_letters.messages import Reason
from rules.dead_letters.tally import Left
from store.protocols.dead_letters import DeadLetterProtocol
from tests.integration.store.builders import Stores
from tests.integration.web import fakes
from tests.integration.web.api import Api, Reply, Setup, desk_of, serving
from tests.integration.web.console.letters import NOW, FakeLetters, buried
from tests.integration.web.console.pages import filled, text_of
from tests.integration.web.console.people import cookies_of, send_form, signed_in, token_on
from tests.integration.web.fakes import Misbehaving
from web.console.desk import TopicsAwayError, TopicsBusyError
from web.console.sessions import OPERATOR_COOKIE
from web.console.table import WITH_CONSOLE
from web.console.views.dead_letters import A_PAGE, MOST_DECIDED

LIST: Final = "/console/operations/dead-letters"
LETTER: Final = f"{LIST}/letter"
DECIDE: Final = f"{LIST}/decide"
NAME: Final = "Åsa Öberg"
SECRET: Final = f'{{"name": "{NAME} <script>"'.encode()


@dataclass
class Operator:
    """An operator with a browser."""

    api: Api
    cookies: Mapping[str, str]
    letters: FakeLetters

    async def get(self, path: str) -> Reply:
        return await self.api.get(path, user=None, headers=self.cookies)

    async def shown(self, path: str, status: int = 200) -> str:
        reply = await self.get(path)
        assert reply.status == status, reply.body
        return text_of(reply)

    async def post(self, path: str, **fields: Any) -> Reply:  # noqa: ANN401  # texts and lists
        fields.setdefault("form_token", token_on(await self.get(LIST)))
        return await send_form(self.api, path, fields, headers=self.cookies)

    async def act(self) -> None:
        """Switch acting on."""
        reply = await self.post("/console/operations/acting", acting="on", next=LIST)
        value = cookies_of(reply)[OPERATOR_COOKIE].partition(";")[0]
        self.cookies = {"Cookie": f"{OPERATOR_COOKIE}={value}"}

    async def decided(self, path: str, token: str | None = None) -> Reply:
        """Have what a page asks about done."""
        fields = filled(await self.shown(path), DECIDE)
        page = await self.shown(path)
        fields["letter"] = letters_on(page)
        if token is not None:
            fields["form_token"] = token
        return await send_form(self.api, DECIDE, cast("Any", fields), headers=self.cookies)


def letters_on(page: str) -> list[str]:
    return [part.partition('"')[0] for part in page.split('name="letter" value="')[1:]]


def linked(page: str) -> list[str]:
    """Return the letters that a page leads to, in their order."""
    return [part.partition('"')[0] for part in page.split(f'href="{LETTER}?letter=')[1:]]


def deciding(act: str, *letters: str, **more: str) -> str:
    return f"{DECIDE}?{urlencode({'act': act, 'letter': letters, **more}, doseq=True)}"


@pytest.fixture
async def operator(stores: Stores, tmp_path: Path) -> AsyncIterator[Operator]:
    letters = FakeLetters(stores.dead_letters)
    setup = Setup(stores, desk=replace(desk_of(stores), letters=letters))
    async with serving(setup, tmp_path, WITH_CONSOLE) as api:
        yield Operator(api, await signed_in(api), letters)


async def test_letters_are_listed_the_newest_first_without_what_they_say(
    operator: Operator,
) -> None:
    operator.letters.records = [
        buried(n, SECRET, at=NOW + timedelta(minutes=n)) for n in range(A_PAGE + 1)
    ]
    page = await operator.shown(LIST)
    assert linked(page) == [f"suggestions/3/{n}" for n in range(A_PAGE, 0, -1)]
    assert "not JSON, not UTF-8, empty" in page
    assert NAME not in page
    [older] = [part.partition('"')[0] for part in page.split('href="') if "before=" in part[:100]]
    assert linked(await operator.shown(unescape(older))) == ["suggestions/3/0"]


async def test_letters_are_found_by_what_they_are(operator: Operator) -> None:
    operator.letters.records = [
        buried(1),
        buried(2, why=Reason.INVALID),
        buried(3, key=b"k <b>"),
        buried(4, of=topics.COMMANDS),
        buried(5, at=NOW - timedelta(hours=5)),
    ]
    for query, found in {
        "reason=invalid_message": ["suggestions/3/2"],
        "key=k+%3Cb%3E": ["suggestions/3/3"],
        "topic=commands": ["commands/3/4"],
        f"until={(NOW - timedelta(hours=4)):%Y-%m-%dT%H:%M:%SZ}": ["suggestions/3/5"],
        "key=nowhere": [],
    }.items():
        assert linked(await operator.shown(f"{LIST}?{query}")) == found
    assert 'value="k &lt;b&gt;"' in await operator.shown(f"{LIST}?key=k+%3Cb%3E")


@pytest.mark.parametrize("name", ["topic", "reason", "state", "since", "until"])
async def test_what_is_wrong_with_a_filter_is_said_beside_it(operator: Operator, name: str) -> None:
    page = await operator.shown(f"{LIST}?{name}=%3Ci%3E&key=kept", status=400)
    assert f'aria-describedby="{name}-fault"' in page
    assert f'id="{name}-fault"' in page
    assert 'value="kept"' in page
    assert "<i>" not in page


@pytest.mark.parametrize(
    "path",
    [
        f"{LIST}?key=a&key=b",
        f"{LIST}?key=%00",
        f"{LIST}?before=x",
        f"{LIST}?before=W1s5OSwwLDBdXQ",
        f"{LIST}?before=W1swLDAsLTFdXQ",
        f"{DECIDE}?act=burn&letter=suggestions/3/1",
        f"{DECIDE}?act=drop&letter=students/3/1",
        deciding("drop", *(f"suggestions/3/{n}" for n in range(101))),
        f"{DECIDE}?act=drop&all=yes&since=never",
    ],
)
async def test_what_no_page_leads_to_is_refused(operator: Operator, path: str) -> None:
    operator.letters.records = [buried(1)]
    assert "That did not work" in await operator.shown(path, status=400)


async def test_what_a_letter_says_is_hidden_until_it_is_asked_for(operator: Operator) -> None:
    operator.letters.records = [
        buried(7, SECRET, key=b"a\x00b", headers=[("raw", b"\xff"), ("<b>", b"x")])
    ]
    path = f"{LETTER}?letter=suggestions/3/7"
    page = await operator.shown(path)
    for text in ("A replay fails again", "a\\x00b", "0xff", "&lt;b&gt;", f"{len(SECRET)} bytes"):
        assert text in page
    assert NAME not in page
    with capture_logs() as logs:
        reply = await operator.post(path)
    assert reply.status == 200
    shown = text_of(reply)
    assert NAME in shown
    assert "&lt;script&gt;" in shown
    [line] = [one for one in logs if one["event"] == "operator looks"]
    assert (line["operator"], line["letter"]) == ("Eva", "suggestions/3/7")
    assert NAME not in str(logs)


async def test_a_letter_without_a_value_has_none_to_show(operator: Operator) -> None:
    operator.letters.records = [buried(7, None, key=None)]
    page = await operator.shown(f"{LETTER}?letter=suggestions/3/7")
    assert "it has no value" in page
    assert "Show what it says" not in page


@pytest.mark.parametrize("name", ["suggestions/3/8", "nothing", "", "students/1/2"])
async def test_what_is_not_there_is_a_page(operator: Operator, name: str) -> None:
    assert "<h1>" in await operator.shown(f"{LETTER}?letter={name}", status=404)
    assert (await operator.post(f"{LETTER}?letter={name}")).status == 404


# --- deciding -------------------------------------------------------------------------------------


async def test_who_only_looks_decides_nothing(operator: Operator) -> None:
    operator.letters.records = [buried(1)]
    for path in (LIST, f"{LETTER}?letter=suggestions/3/1", deciding("replay", "suggestions/3/1")):
        page = await operator.shown(path)
        assert "Replay …" not in page
        assert f'action="{DECIDE}" method="post"' not in page
        assert f'method="post" action="{DECIDE}"' not in page
    for act in ("replay", "drop"):
        reply = await operator.post(DECIDE, act=act, letter="suggestions/3/1")
        assert reply.status == 403
        assert "switch acting on first" in text_of(reply)
    assert "suggestions/3/1" in linked(await operator.shown(LIST))


async def test_a_replay_is_seen_first_then_done_and_the_log_has_who(
    operator: Operator, stores: Stores
) -> None:
    operator.letters.records = [buried(1, SECRET), buried(2, SECRET), buried(3)]
    await operator.act()
    path = deciding("replay", "suggestions/3/1", "suggestions/3/2", back=f"{LIST}?key=key")
    page = await operator.shown(path)
    assert "Replay 2 dead letters?" in page
    assert topics.MATCHES_SUGGESTED in page
    assert await stores.published() == []
    with capture_logs() as logs:
        reply = await operator.decided(path)
    assert reply.status == 303
    assert reply.headers["Location"] == f"{LIST}?key=key&acted=replay&done=2"
    sent = await stores.published()
    assert [one.message.topic for one in sent] == [topics.MATCHES_SUGGESTED] * 2
    [acts] = [one for one in logs if one["event"] == "operator acts"]
    assert (acts["act"], acts["operator"], acts["letters"]) == ("replay dead letters", "Eva", 2)
    assert sorted(acts["which"]) == ["suggestions/3/1", "suggestions/3/2"]
    [came] = [one for one in logs if one["event"] == "operator acted"]
    assert (came["operator"], came["done"]) == ("Eva", 2)
    assert NAME not in str(logs)
    assert "2 dead letters are on their way" in await operator.shown(reply.headers["Location"])
    assert "not handled yet" in await operator.shown(LIST)


async def test_a_form_sent_twice_replays_once(operator: Operator, stores: Stores) -> None:
    operator.letters.records = [buried(1)]
    await operator.act()
    fields = {"act": "replay", "letter": "suggestions/3/1", "next": LIST}
    first, second = [await operator.post(DECIDE, **fields) for _ in range(2)]
    assert first.headers["Location"].endswith("acted=replay&done=1")
    assert second.headers["Location"].endswith("acted=replay&meanwhile=1")
    assert len(await stores.published()) == 1
    assert "1 was decided about before" in await operator.shown(second.headers["Location"])


async def test_what_was_decided_before_is_left_out_unless_it_is_meant(
    operator: Operator, stores: Stores
) -> None:
    operator.letters.records = [buried(1), buried(2)]
    await operator.act()
    await operator.post(DECIDE, act="drop", letter="suggestions/3/1", next=LIST)
    assert linked(await operator.shown(LIST)) == ["suggestions/3/2"]
    assert len(linked(await operator.shown(f"{LIST}?state=all"))) == 2
    path = deciding("replay", "suggestions/3/1", "suggestions/3/2")
    page = await operator.shown(path)
    assert "Replay 1 dead letter?" in page
    assert "1 was decided about before" in page
    assert letters_on(page) == ["suggestions/3/2"]
    again = f"{path}&again=yes"
    assert f'href="{again}"'.replace("/3/", "%2F3%2F") in unescape(page)
    assert len(letters_on(await operator.shown(again))) == 2
    reply = await operator.decided(again)
    assert reply.headers["Location"].endswith("acted=replay&done=2")
    assert len(await stores.published()) == 2


async def test_all_that_a_filter_finds_is_dropped(operator: Operator) -> None:
    operator.letters.records = [buried(1), buried(2, why=Reason.INVALID), buried(3)]
    await operator.act()
    page = await operator.shown(f"{LIST}?reason=unreadable")
    assert f"{DECIDE}?reason=unreadable&act=drop&all=yes&back=" in unescape(page)
    reply = await operator.decided(f"{DECIDE}?reason=unreadable&act=drop&all=yes")
    assert reply.headers["Location"].endswith("acted=drop&done=2")
    assert linked(await operator.shown(LIST)) == ["suggestions/3/2"]


async def test_what_came_of_it_is_told_once(operator: Operator) -> None:
    operator.letters.records = [buried(1), buried(2)]
    await operator.act()
    told = f"{LIST}?reason=unreadable&acted=replay&done=1"
    page = await operator.shown(told)
    assert f'name="back" value="{LIST}?reason=unreadable"' in page
    reply = await operator.decided(deciding("drop", "suggestions/3/1", back=f"{LIST}?key=key"))
    assert reply.headers["Location"] == f"{LIST}?key=key&acted=drop&done=1"


async def test_who_chooses_nothing_is_told_to(operator: Operator) -> None:
    operator.letters.records = [buried(1)]
    await operator.act()
    reply = await operator.get(f"{DECIDE}?act=drop&back={LIST}?key=key")
    assert (reply.status, reply.headers["Location"]) == (303, f"{LIST}?key=key&notice=no-letters")
    assert "Choose dead letters first." in await operator.shown(reply.headers["Location"])


async def test_of_very_many_the_newest_are_decided_about(operator: Operator) -> None:
    operator.letters.records = [buried(n) for n in range(MOST_DECIDED + 1)]
    await operator.act()
    page = await operator.shown(f"{DECIDE}?act=drop&all=yes")
    assert f"These are the newest {MOST_DECIDED}" in page
    assert len(letters_on(page)) == MOST_DECIDED


async def test_what_came_of_each_is_said(operator: Operator) -> None:
    operator.letters.records = [buried(n) for n in range(4)]
    operator.letters.left = {
        Address(topics.DEAD_LETTER[0], 3, 1): Left.TOO_LARGE,
        Address(topics.DEAD_LETTER[0], 3, 2): Left.NOT_WHOLE,
    }
    operator.letters.trouble = "Kafka at x: gone"
    await operator.act()
    named = [f"suggestions/3/{n}" for n in (0, 1, 2, 9)]
    with capture_logs() as logs:
        reply = await operator.post(DECIDE, act="replay", letter=named, next=LIST)
    [came] = [one for one in logs if one["event"] == "operator acted"]
    assert came["reason"] == "Kafka at x: gone"
    page = await operator.shown(reply.headers["Location"])
    for text in (
        "1 dead letter is on its way",
        "1 is larger than",
        "1 does not have all",
        "1 is not there any more",
        "It broke off",
    ):
        assert text in page


@pytest.mark.parametrize("given", ["//evil.example", "https://evil.example", "/v1/classes"])
async def test_nobody_is_led_elsewhere(operator: Operator, given: str) -> None:
    operator.letters.records = [buried(1)]
    await operator.act()
    reply = await operator.post(DECIDE, act="drop", letter="suggestions/3/1", next=given)
    assert reply.headers["Location"].startswith("/console?")
    page = await operator.shown(deciding("drop", "suggestions/3/1", back=given))
    assert f'href="{given}"' not in page


@pytest.mark.parametrize(
    "fields",
    [
        {"act": "replay"},
        {"act": ["replay", "drop"], "letter": "suggestions/3/1"},
        {"act": "burn", "letter": "suggestions/3/1"},
        {"act": "drop", "letter": "students/3/1"},
        {"act": "drop", "letter": [f"suggestions/3/{n}" for n in range(MOST_DECIDED + 1)]},
    ],
    ids=["none", "two acts", "another act", "another topic", "too many"],
)
async def test_a_form_that_no_page_has_does_nothing(
    operator: Operator, fields: Mapping[str, Any]
) -> None:
    operator.letters.records = [buried(1)]
    await operator.act()
    with capture_logs() as logs:
        reply = await operator.post(DECIDE, **fields)
    assert reply.status == 400
    assert [one for one in logs if one["event"] == "operator acts"] == []
    assert linked(await operator.shown(LIST)) == ["suggestions/3/1"]


# --- what is away ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TopicsAwayError("Kafka at x <b>: gone"), "Kafka at x &lt;b&gt;: gone"),
        (TopicsBusyError("busy"), "Another page has topics read"),
    ],
    ids=["away", "busy"],
)
async def test_a_page_says_that_topics_cannot_be_read(
    operator: Operator, error: Exception, said: str
) -> None:
    def gone() -> None:
        raise error

    operator.letters.records = [buried(1)]
    await operator.act()
    token = token_on(await operator.get(LIST))
    operator.letters.kafka = gone
    for path in (LIST, f"{LETTER}?letter=suggestions/3/1", deciding("drop", "suggestions/3/1")):
        page = await operator.shown(path, status=503)
        assert said in page
        assert "Try again" in page
    reply = await operator.post(
        DECIDE, form_token=token, act="drop", letter="suggestions/3/1", next=LIST
    )
    assert reply.status == 503
    assert said in text_of(reply)
    assert "Retry-After" in reply.headers


async def test_without_postgres_letters_are_listed_and_not_decided_about(
    operator: Operator,
) -> None:
    operator.letters.records = [buried(1)]
    await operator.act()
    operator.letters.decisions = cast("DeadLetterProtocol", Misbehaving(fakes.unavailable))
    page = await operator.shown(LIST)
    assert "suggestions/3/1" in linked(page)
    assert "what was decided about these is not known" in page
    await operator.shown(deciding("drop", "suggestions/3/1"), status=503)
    reply = await operator.post(DECIDE, act="drop", letter="suggestions/3/1", next=LIST)
    assert reply.headers["Location"].endswith("acted=drop&trouble=1")


async def test_a_list_that_took_too_long_says_so_and_goes_on(operator: Operator) -> None:
    operator.letters.is_cut_off = True
    page = await operator.shown(LIST)
    assert "The time was up after 0 letters" in page
    assert "Older ones" in page
    assert "No dead letters wait" not in page


async def test_an_empty_list_says_what_comes_here(operator: Operator) -> None:
    assert "No dead letters wait for a decision" in await operator.shown(LIST)


async def test_what_became_of_a_replay_stands_beside_it(operator: Operator) -> None:
    operator.letters.records = [buried(1)]
    await operator.act()
    await operator.post(DECIDE, act="replay", letter="suggestions/3/1", next=LIST)
    page = await operator.shown(f"{LETTER}?letter=suggestions/3/1&acted=replay&done=x")
    assert "0 dead letters are on their way" in page
    assert "not handled yet" in page

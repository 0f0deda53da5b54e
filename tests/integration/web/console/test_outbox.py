"""What an operator decides about messages that the broker refuses."""

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from store.protocols.outbox import Refusal
from store.protocols.set_aside import SetAsideCounts
from tests.integration.store.builders import Stores
from tests.integration.store.test_set_aside_conformance import KEY, publish, set_aside, values
from tests.integration.web.api import Api, Backend, Reply, Setup, desk_of, serving
from tests.integration.web.console.people import send_form, signed_in, token_on
from tests.integration.web.console.test_overview import switched, words
from web.console.table import WITH_CONSOLE
from web.console.views import outbox

PAGE: Final = "/console/operations/outbox"
NO_NUMBERS: Final = ("x", "-1", "", "9" * 19, "1 or 1=1", "\u0661")
NONE: Final = SetAsideCounts(0, 0)


@pytest.fixture
async def api(backend: Backend, tmp_path: Path) -> AsyncIterator[Api]:
    """Have a server on either store."""
    assert isinstance(backend, Stores)
    async with serving(Setup(backend, desk=desk_of(backend)), tmp_path, WITH_CONSOLE) as running:
        yield running


@pytest.fixture
def stores(backend: Backend) -> Stores:
    assert isinstance(backend, Stores)
    return backend


@pytest.fixture
async def numbers(stores: Stores) -> list[int]:
    """Have `a` and `c` refused, of which `a` keeps `b` waiting."""
    await publish(stores, (KEY, "a"), (KEY, "b"))
    await publish(stores, (KEY, "c"), topic="other")
    refused = {"a": Refusal.TOO_LARGE, "b": None, "c": Refusal.INVALID}
    first, _, last = await set_aside(stores, refused)
    return [first, last]


Cookie = Mapping[str, str]


async def acting(api: Api) -> dict[str, str]:
    return await switched(api, await signed_in(api, "Eva"), "on")


async def send(api: Api, cookie: Cookie, **fields: str | Sequence[str]) -> Reply:
    token = token_on(await api.get(PAGE, user=None, headers=cookie))
    return await send_form(api, PAGE, {"form_token": token, **fields}, headers=cookie)


def texts(numbers: Sequence[int]) -> list[str]:
    return [str(number) for number in numbers]


async def test_what_is_set_aside_is_listed_without_its_content(
    api: Api, stores: Stores, numbers: list[int]
) -> None:
    await publish(stores, (b"elsewhere", "waits"))
    cookie = await signed_in(api)
    text = words(await api.get(PAGE, user=None, headers=cookie))
    assert f"Message {numbers[0]} larger than its topic takes, " in text
    assert f"Message {numbers[1]} not as the topic's settings want it, " in text
    assert "1 behind it topic" in text
    assert "1, the oldest since" in text
    assert "To decide about them, switch acting on." in text
    assert "Put back" not in text


async def test_where_nothing_is_set_aside_the_page_says_what_will_be(api: Api) -> None:
    text = words(await api.get(PAGE, user=None, headers=await signed_in(api)))
    assert "Nothing is set aside." in text
    assert "Nothing waits to be sent." in text


async def test_nothing_is_done_before_it_was_shown_what_it_does(
    api: Api, stores: Stores, numbers: list[int]
) -> None:
    cookie = await acting(api)
    for act, says in (("retry", "Put 2 messages back?"), ("drop", "Delete 2 messages for good?")):
        text = words(await send(api, cookie, act=act, number=texts(numbers)))
        assert says in text
        assert "1 message that waits behind goes on, too." in text
    assert await stores.set_aside.counts() == SetAsideCounts(2, 1)


async def test_messages_are_put_back_with_those_behind_them(
    api: Api, stores: Stores, numbers: list[int]
) -> None:
    cookie = await acting(api)
    with capture_logs() as lines:
        reply = await send(api, cookie, act="retry", number=texts(numbers), confirm="yes")
    assert (reply.status, reply.headers["Location"]) == (303, f"{PAGE}?notice=set-aside-retry")
    assert await stores.set_aside.counts() == NONE
    assert sorted(await values(stores)) == ["a", "b", "c"]
    [line] = [line for line in lines if line["event"] == "operator acts"]
    assert (line["act"], line["operator"], line["numbers"]) == ("outbox.retry", "Eva", numbers)


async def test_messages_are_dropped_and_the_log_says_which_and_by_whom(
    api: Api, stores: Stores, numbers: list[int]
) -> None:
    cookie = await acting(api)
    with capture_logs() as lines:
        reply = await send(api, cookie, act="drop", number=texts(numbers[:1]), confirm="yes")
    assert reply.headers["Location"] == f"{PAGE}?notice=set-aside-drop"
    assert await stores.set_aside.counts() == SetAsideCounts(1, 0)
    assert await values(stores) == ["b"]
    events = {line["event"]: line for line in lines}
    assert events["operator acts"]["act"] == "outbox.drop"
    dropped = events["set-aside message dropped"]
    assert (dropped["number"], dropped["topic"]) == (numbers[0], "topic.dlt")
    assert "key" not in dropped


async def test_all_are_chosen_as_far_as_one_decision_goes(
    api: Api, numbers: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    cookie = await acting(api)
    assert "Put 2 messages back?" in words(await send(api, cookie, act="retry", all="yes"))
    monkeypatch.setattr(outbox, "AT_ONCE", 1)
    text = words(await api.get(PAGE, user=None, headers=cookie))
    assert "These are the 1 oldest of 2." in text
    assert f"Message {numbers[1]} " not in text
    assert "Put 1 message back?" in words(await send(api, cookie, act="retry", all="yes"))


async def test_a_form_sent_twice_does_it_once_and_says_so(
    api: Api, stores: Stores, numbers: list[int]
) -> None:
    cookie = await acting(api)
    fields: dict[str, Any] = {"act": "drop", "number": texts(numbers), "confirm": "yes"}
    assert (await send(api, cookie, **fields)).status == 303
    reply = await send(api, cookie, **fields)
    assert reply.headers["Location"] == f"{PAGE}?notice=set-aside-partly"
    assert await values(stores) == ["b"]


async def test_what_waits_behind_is_not_decided_about_by_its_number(
    api: Api, stores: Stores, numbers: list[int]
) -> None:
    reply = await send(api, await acting(api), act="drop", number=str(numbers[0] + 1), confirm="y")
    assert reply.headers["Location"] == f"{PAGE}?notice=set-aside-partly"
    assert await stores.set_aside.counts() == SetAsideCounts(2, 1)


async def test_who_has_chosen_nothing_is_told(api: Api, numbers: list[int]) -> None:
    reply = await send(api, await acting(api), act="drop")
    assert reply.status == 400
    page = reply.body.decode()
    assert "Nothing was changed: choose messages first." in page
    assert 'aria-describedby="fault"' in page
    assert f'value="{numbers[0]}"' in page


@pytest.mark.parametrize("act", ["retry", "drop"])
@pytest.mark.parametrize("confirm", [{}, {"confirm": "yes"}])
async def test_nobody_acts_who_has_not_switched_it_on(
    api: Api, stores: Stores, numbers: list[int], act: str, confirm: dict[str, str]
) -> None:
    cookie = await signed_in(api)
    for who in (cookie, await switched(api, await switched(api, cookie, "on"), "off")):
        reply = await send(api, who, act=act, number=texts(numbers), **confirm)
        assert reply.status == 403
        assert b"switch acting on first" in reply.body
    assert await stores.set_aside.counts() == SetAsideCounts(2, 1)


@pytest.mark.parametrize(
    "fields",
    [
        {"act": "delete", "number": "1"},
        {"number": "1"},
        {"act": ["drop", "retry"], "number": "1"},
        *(
            {"act": "drop", "number": one}
            for one in ("x", "-1", "", "9" * 19, "1 or 1=1", "\u0661")
        ),
    ],
)
@pytest.mark.parametrize("confirm", [{}, {"confirm": "yes"}])
@pytest.mark.usefixtures("numbers")
async def test_what_is_no_decision_does_nothing(
    api: Api,
    stores: Stores,
    fields: dict[str, str | list[str]],
    confirm: dict[str, str],
) -> None:
    reply = await send(api, await acting(api), **fields, **confirm)
    assert reply.status == 400
    assert await stores.set_aside.counts() == SetAsideCounts(2, 1)

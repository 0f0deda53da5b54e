"""Ways to say who is calling, right ones and wrong ones."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from tests.integration.web.api import INTERNAL_KEY, OTHER, SERVICE, TEACHER
from tests.support.tokens import HOUR, ec_signer
from web.identity import Access

USER: Final = {"X-User-ID": quote(TEACHER)}
TOKEN: Final = ec_signer().bearer(TEACHER)
PUBLIC: Final = frozenset({Access.USER, Access.USER_OR_SERVICE})
SERVICES: Final = frozenset({Access.SERVICE, Access.WORKER, Access.USER_OR_SERVICE})

Headers = tuple[tuple[str, str], ...]


def headers(*parts: Mapping[str, str]) -> Headers:
    return tuple(pair for part in parts for pair in part.items())


@dataclass(frozen=True)
class Case:
    """A way to say who is calling, and to which kinds of operation it opens the door."""

    name: str
    headers: Headers
    opens: frozenset[Access] = frozenset()


KEY: Final = {"X-Internal-API-Key": INTERNAL_KEY}
NAME: Final = {"X-Service-ID": "essays"}

#: With tokens or without.
ALWAYS: Final = (
    Case("nobody", ()),
    Case("a blank user", headers({"X-User-ID": " "})),
    Case("an encoded blank", headers({"X-User-ID": "%20"}, TOKEN)),
    Case("a broken encoding", headers({"X-User-ID": "%F"}, TOKEN)),
    Case("the clock", headers({"X-User-ID": "SYSTEM_TIMEOUT"}, TOKEN)),
    Case("the threshold", headers({"X-User-ID": "system_auto"}, TOKEN)),
    Case("a user twice", headers(USER, USER, TOKEN)),
    Case("two users", headers(USER, {"X-User-ID": quote(OTHER)}, TOKEN)),
    Case("two tokens", headers(USER, TOKEN, TOKEN)),
    Case("a key that is wrong", headers({"X-Internal-API-Key": f"{INTERNAL_KEY}x"}, NAME)),
    Case("a key that is blank", headers({"X-Internal-API-Key": ""}, NAME)),
    Case(
        "a wrong key and a user",
        headers({"X-Internal-API-Key": "x"}, NAME, USER, TOKEN),
        frozenset({Access.USER}),
    ),
    Case("a key without a service", headers(KEY)),
    Case("a key twice", headers(KEY, KEY, NAME)),
    Case("a right key beside a wrong one", headers(KEY, {"X-Internal-API-Key": "x"}, NAME)),
    Case("two services", headers(KEY, NAME, NAME)),
    Case("a service without a key", headers(NAME)),
    Case("a worker's signature that is none", headers({"X-Worker-Signature": "1.x"})),
    Case("a key as a token", headers({"Authorization": f"Bearer {INTERNAL_KEY}"}, NAME)),
    Case("a service", headers(SERVICE), SERVICES),
    Case("a user with a token", headers(USER, TOKEN), PUBLIC),
)
#: Where tokens are needed.
WITH_TOKENS: Final = (
    Case("no token", headers(USER)),
    Case("an empty token", headers(USER, {"Authorization": "Bearer "})),
    Case("another user's token", headers(USER, ec_signer().bearer(OTHER))),
    Case(
        "a token that has expired",
        headers(USER, ec_signer().bearer(TEACHER, exp=int(time.time()) - HOUR)),
    ),
    Case("a token for another service", headers(USER, ec_signer().bearer(TEACHER, aud="billing"))),
    Case("a stranger's token", headers(USER, ec_signer(1).bearer(TEACHER))),
    Case("a token alone", headers(TOKEN)),
)
#: Where they are not.
WITHOUT_TOKENS: Final = (Case("a user", headers(USER), PUBLIC),)

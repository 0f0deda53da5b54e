"""Callers' tokens (docs/contract.md, section 2, "Who is calling")."""

import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from yarl import URL

import web.tokens
from telemetry.metrics import Metrics
from tests.integration.web.api import OTHER, SERVICE, TEACHER, Api, Setup, serving
from tests.integration.web.fakes import FakeBackend
from tests.integration.web.jwks_server import JwksAnswers, answering
from tests.support.tokens import (
    AUDIENCE,
    HOUR,
    Signer,
    ec_signer,
    ed_signer,
    encoded,
    jwks,
    rsa_signer,
    secret_signer,
)
from web.claims import LEEWAY_SECONDS
from web.jwks import JwksServer
from web.key_ring import KeyRing
from web.token_keys import TokenKey, keys_of_jwks, keys_of_pem, keys_of_secret
from web.tokens import MAX_TOKEN, TokenCheck

#: Nothing lies behind it: who gets 200 has been let in.
PATH: Final = "/v1/courses"
SIGNERS: Final = (rsa_signer(), ec_signer(), ed_signer(), secret_signer())
GATEWAY: Final = ec_signer()


class Clock:
    """The time, which a test moves."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def keys_of(signer: Signer) -> tuple[TokenKey, ...]:
    if isinstance(signer.key, bytes):
        return keys_of_secret(signer.key.decode())
    return keys_of_pem(signer.pem)


@asynccontextmanager
async def guarded(
    directory: Path,
    keys: tuple[TokenKey, ...],
    audiences: tuple[str, ...] = (AUDIENCE,),
    clock: Clock | None = None,
) -> AsyncIterator[Api]:
    """Have a server that wants tokens of these keys."""
    metrics = Metrics()
    check = TokenCheck(KeyRing(metrics, keys), audiences, metrics, clock or time.time)
    setup = Setup(FakeBackend.all_of(None), tokens=check, metrics=metrics)
    async with serving(setup, directory) as api:
        yield api


@pytest.fixture
async def guarded_api(tmp_path: Path) -> AsyncIterator[Api]:
    async with guarded(tmp_path, keys_of(GATEWAY)) as api:
        yield api


def refused(api: Api, reason: str) -> float | None:
    """Return how many tokens were refused for a reason."""
    return api.setup.metrics.registry.get_sample_value(
        "class_management_tokens_refused_total", {"reason": reason}
    )


async def is_refused(api: Api, token: str, reason: str, user: str = TEACHER) -> None:
    """Check that a token is refused for a reason, which nothing of the token tells."""
    before = refused(api, reason)
    reply = await api.get(PATH, user=user, headers={"Authorization": f"Bearer {token}"})
    problem = reply.problem(401, "AUTHENTICATION_REQUIRED")
    assert refused(api, reason) == (before or 0) + 1
    challenge = 'Bearer realm="class-management", error="invalid_token"'
    assert reply.headers["WWW-Authenticate"] == challenge
    assert all(part not in str(problem) for part in token.split(".") if len(part) > 5)


@pytest.mark.parametrize("signer", SIGNERS, ids=lambda one: one.algorithm)
async def test_a_token_of_each_algorithm_lets_its_user_in(tmp_path: Path, signer: Signer) -> None:
    async with guarded(tmp_path, keys_of(signer)) as api:
        for _ in range(2):  # the second time it is remembered
            token = signer.bearer(TEACHER, exp=int(time.time()) + HOUR)
            assert (await api.get(PATH, headers=token)).status == 200
        await is_refused(api, signer.token(OTHER), "subject")


@pytest.mark.parametrize("first", SIGNERS, ids=lambda one: one.algorithm)
@pytest.mark.parametrize("second", SIGNERS, ids=lambda one: one.algorithm)
async def test_no_token_of_another_key_is_taken(
    tmp_path: Path, first: Signer, second: Signer
) -> None:
    other = {"RS256": rsa_signer(1), "ES256": ec_signer(1), "EdDSA": ed_signer(1)}.get(
        second.algorithm, secret_signer(1)
    )
    reason = "signature" if first.algorithm == second.algorithm else "algorithm"
    async with guarded(tmp_path, keys_of(first)) as api:
        await is_refused(api, other.token(TEACHER), reason)


@pytest.mark.parametrize("signer", SIGNERS[:3], ids=lambda one: one.algorithm)
async def test_a_public_key_is_no_secret(tmp_path: Path, signer: Signer) -> None:
    pem = signer.pem
    key = signer.jwk
    async with guarded(tmp_path, keys_of(signer)) as api:
        for secret in (pem, pem.strip(), pem.replace("\n", "\\n"), orjson.dumps(key).decode()):
            content = signed_input({"alg": "HS256", "typ": "JWT"}, TEACHER)
            mac = hmac.digest(secret.encode(), content.encode(), "sha256")
            await is_refused(api, f"{content}.{encoded(mac)}", "algorithm")
            # And where the header names the key's algorithm, the signature is none.
            content = signed_input({"alg": signer.algorithm}, TEACHER)
            mac = hmac.digest(secret.encode(), content.encode(), "sha256")
            await is_refused(api, f"{content}.{encoded(mac)}", "signature")


def signed_input(header: Mapping[str, Any], user: str) -> str:
    claims = {"sub": user, "aud": AUDIENCE, "exp": int(time.time()) + HOUR}
    return f"{encoded(orjson.dumps(header))}.{encoded(orjson.dumps(claims))}"


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", ""])
@pytest.mark.parametrize("signer", SIGNERS, ids=lambda one: one.algorithm)
async def test_a_token_without_signature_is_none(
    tmp_path: Path, signer: Signer, algorithm: str
) -> None:
    async with guarded(tmp_path, keys_of(signer)) as api:
        content = signed_input({"alg": algorithm}, TEACHER)
        good = signer.token(TEACHER)
        for signature in ("", good.rsplit(".", 1)[1]):
            await is_refused(api, f"{content}.{signature}", "algorithm")
        # A good token whose signature was taken off.
        await is_refused(api, f"{good.rsplit('.', 1)[0]}.", "signature")


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": None}, "expired"),
        ({"exp": 0}, "expired"),
        ({"exp": -1e300}, "expired"),
        ({"exp": "2099-01-01"}, "malformed"),
        ({"exp": True}, "malformed"),
        ({"exp": [9999999999]}, "malformed"),
        ({"nbf": 9999999999}, "not_yet_valid"),
        ({"nbf": "0"}, "malformed"),
        ({"aud": None}, "audience"),
        ({"aud": ""}, "audience"),
        ({"aud": []}, "audience"),
        ({"aud": [1, {"aud": AUDIENCE}, [AUDIENCE]]}, "audience"),
        ({"aud": {AUDIENCE: 1}}, "audience"),
        ({"aud": f"{AUDIENCE}s"}, "audience"),
        ({"aud": AUDIENCE.upper()}, "audience"),
        ({"aud": f"{AUDIENCE},other"}, "audience"),
        ({"sub": None}, "subject"),
        ({"sub": ""}, "subject"),
        ({"sub": 1}, "subject"),
        ({"sub": [TEACHER]}, "subject"),
        ({"sub": OTHER}, "subject"),
        ({"sub": f" {TEACHER}"}, "subject"),
        ({"sub": TEACHER.upper()}, "subject"),
        ({"sub": "la\u0308rare-1"}, "subject"),  # it looks the same, in another form
        ({"sub": "l%C3%A4rare-1"}, "subject"),  # as the header has it, not as it reads
    ],
)
async def test_what_a_token_says_must_hold(
    guarded_api: Api, claims: dict[str, object], reason: str
) -> None:
    await is_refused(guarded_api, GATEWAY.token(TEACHER, None, **claims), reason)


async def test_null_is_not_left_out(guarded_api: Api) -> None:
    for name in ("exp", "nbf"):
        claims = {"sub": TEACHER, "aud": AUDIENCE, "exp": 9999999999, name: None}
        await is_refused(guarded_api, GATEWAY.signed(orjson.dumps(claims)), "malformed")


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": [AUDIENCE]},
        {"aud": ["other", AUDIENCE, 3]},
        {"nbf": 0},
        {"nbf": 0.5, "exp": 9999999999.5},
        {"iat": 9999999999, "iss": "https://gateway.example", "jti": "1", "roles": ["teacher"]},
        {"exp": 1e300},
    ],
)
async def test_what_else_a_token_says_is_its_own_business(
    guarded_api: Api, claims: dict[str, object]
) -> None:
    assert (await guarded_api.get(PATH, headers=GATEWAY.bearer(TEACHER, **claims))).status == 200


async def test_one_of_several_audiences_is_enough(tmp_path: Path) -> None:
    async with guarded(tmp_path, keys_of(GATEWAY), ("one", "two")) as api:
        for audience in ("one", "two", ["three", "two"]):
            token = GATEWAY.bearer(TEACHER, aud=audience)
            assert (await api.get(PATH, headers=token)).status == 200
        await is_refused(api, GATEWAY.token(TEACHER), "audience")


async def test_clocks_may_be_half_a_minute_apart(tmp_path: Path) -> None:
    clock = Clock()
    async with guarded(tmp_path, keys_of(GATEWAY), clock=clock) as api:
        edge = clock.now
        early = GATEWAY.bearer(TEACHER, nbf=edge + LEEWAY_SECONDS)
        assert (await api.get(PATH, headers=early)).status == 200
        await is_refused(
            api, GATEWAY.token(TEACHER, nbf=edge + LEEWAY_SECONDS + 1), "not_yet_valid"
        )
        late = GATEWAY.token(TEACHER, exp=edge)
        clock.now = edge + LEEWAY_SECONDS - 1
        for _ in range(2):
            reply = await api.get(PATH, headers={"Authorization": f"Bearer {late}"})
            assert reply.status == 200
        # It is remembered by now, and no longer than it holds.
        clock.now = edge + LEEWAY_SECONDS
        await is_refused(api, late, "expired")


@pytest.mark.parametrize(
    "payload",
    [b"", b"null", b"[]", b'"text"', b"1", b"{", b"\xff", b'{"exp": NaN}', b"[" * 5000],
)
async def test_what_is_signed_must_be_claims(guarded_api: Api, payload: bytes) -> None:
    await is_refused(guarded_api, GATEWAY.signed(payload), "malformed")


async def test_a_token_within_a_token_is_none(guarded_api: Api) -> None:
    inner = GATEWAY.token(TEACHER)
    await is_refused(guarded_api, GATEWAY.signed(inner.encode(), {"cty": "JWT"}), "malformed")


def bad_headers() -> dict[str, Any]:
    good = GATEWAY.token(TEACHER)
    header, claims, signature = good.split(".")
    encrypted = encoded(b'{"alg":"RSA-OAEP","enc":"A256GCM"}')
    listed = encoded(b'{"alg":["ES256"]}')
    return {
        "an encrypted one": f"{encrypted}.YQ.YQ.YQ.YQ",
        "two parts": f"{header}.{claims}",
        "four parts": f"{good}.YQ",
        "no header": f".{claims}.{signature}",
        "no claims": f"{header}..{signature}",
        "padding": f"{good}=",
        "another alphabet": f"{header}.{claims}.{signature[:-2]}+/",
        "a blank within": f"{header}. {claims}.{signature}",
        "a second one": f"{good} {good}",
        "header no JSON": f"{encoded(b'{')}.{claims}.{signature}",
        "header no object": f"{encoded(b'[]')}.{claims}.{signature}",
        "header no Base64": f"a.{claims}.{signature}",
        "no algorithm": f"{encoded(b'{}')}.{claims}.{signature}",
        "an algorithm that is no text": f"{listed}.{claims}.{signature}",
        "a kid that is no text": GATEWAY.token(TEACHER, {"kid": 1}),
        "critical extension": GATEWAY.token(TEACHER, {"crit": ["exp"], "exp": 1}),
        "critical, of the standard": GATEWAY.token(TEACHER, {"crit": ["b64"], "b64": True}),
        "nothing critical": GATEWAY.token(TEACHER, {"crit": []}),
        "null is critical": GATEWAY.token(TEACHER, {"crit": None}),
        "not encoded": GATEWAY.token(TEACHER, {"b64": False}),
        "too long": GATEWAY.token(TEACHER, jti="x" * (MAX_TOKEN * 3 // 4)),
    }


@pytest.mark.parametrize("kind", bad_headers())
async def test_what_is_no_token_is_refused(guarded_api: Api, kind: str) -> None:
    await is_refused(guarded_api, bad_headers()[kind], "malformed")


async def test_every_changed_bit_of_a_signature_is_seen(guarded_api: Api) -> None:
    content, signature = GATEWAY.token(TEACHER).rsplit(".", 1)
    raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
    for place in range(0, len(raw) * 8, 37):
        raw[place // 8] ^= 1 << place % 8
        await is_refused(guarded_api, f"{content}.{encoded(bytes(raw))}", "signature")
        raw[place // 8] ^= 1 << place % 8


@pytest.mark.parametrize(
    "form", ["Bearer {}", "bearer {}", "BEARER {}", "Bearer   {}", "Bearer {}  "]
)
async def test_the_scheme_may_be_written_in_any_case(guarded_api: Api, form: str) -> None:
    headers = {"Authorization": form.format(GATEWAY.token(TEACHER))}
    assert (await guarded_api.get(PATH, headers=headers)).status == 200


@pytest.mark.parametrize(
    "form", ["", "Bearer", "Bearer ", "{}", "Token {}", "Bearer\t{}", "Basic {}"]
)
async def test_without_a_token_there_is_a_plain_challenge(guarded_api: Api, form: str) -> None:
    headers = {"Authorization": form.format(GATEWAY.token(TEACHER))} if form else {}
    reply = await guarded_api.get(PATH, headers=headers)
    reply.problem(401, "AUTHENTICATION_REQUIRED")
    assert reply.headers["WWW-Authenticate"] == 'Bearer realm="class-management"'
    assert refused(guarded_api, "missing") == 1


async def test_a_token_alone_is_nobody(guarded_api: Api) -> None:
    reply = await guarded_api.send("GET", PATH, user=None, headers=GATEWAY.bearer(TEACHER))
    reply.problem(401, "AUTHENTICATION_REQUIRED")


async def test_internal_paths_need_no_token_and_take_none(guarded_api: Api) -> None:
    path = "/internal/v1/batches/class-info"
    reply = await guarded_api.send("GET", path, user=None, headers=SERVICE)
    assert reply.status == 200
    refusal = await guarded_api.get(path, headers=GATEWAY.bearer(TEACHER))
    refusal.problem(401, "AUTHENTICATION_REQUIRED")
    assert refusal.headers["WWW-Authenticate"] == 'ApiKey realm="class-management-internal"'


async def test_without_a_key_no_bearer_is_asked_for(tmp_path: Path) -> None:
    async with serving(Setup(FakeBackend.all_of(None)), tmp_path) as api:
        refusal = await api.get(PATH, user=None)
        assert refusal.headers["WWW-Authenticate"] == 'Gateway realm="class-management"'
        # And a token is not looked at.
        assert (await api.get(PATH, headers={"Authorization": "Bearer x"})).status == 200


@pytest.mark.parametrize("signer", [rsa_signer(7), ec_signer(7), ed_signer(7)])
async def test_keys_that_a_token_brings_along_are_not_looked_at(
    tmp_path: Path, signer: Signer
) -> None:
    attacker = signer.named("1")
    async with AsyncExitStack() as stack:
        answers = JwksAnswers(jwks(attacker))
        url = await stack.enter_async_context(answering(answers))
        api = await stack.enter_async_context(
            guarded(tmp_path, keys_of_jwks(jwks(GATEWAY.named("1")), with_secrets=False).keys)
        )
        reason = "signature" if signer.algorithm == GATEWAY.algorithm else "algorithm"
        for headers in ({"jwk": attacker.jwk}, {"jku": url}, {"x5u": url}, {"x5c": ["MIIB"]}):
            await is_refused(api, attacker.token(TEACHER, headers), reason)
        assert answers.asked == 0
        # One that the gateway has signed is good, whatever else is in its header.
        good = GATEWAY.named("1").token(TEACHER, {"jku": url, "jwk": attacker.jwk})
        reply = await api.get(PATH, headers={"Authorization": f"Bearer {good}"})
        assert (reply.status, answers.asked) == (200, 0)


@pytest.mark.parametrize("kid", ["2", "", "1 ", "../1", "1' or '1'='1", "1\x00", "x" * 1000])
async def test_a_key_that_is_not_known_signs_nothing(tmp_path: Path, kid: str) -> None:
    keys = keys_of_jwks(jwks(GATEWAY.named("1")), with_secrets=False).keys
    async with guarded(tmp_path, keys) as api:
        await is_refused(api, GATEWAY.token(TEACHER, {"kid": kid}), "unknown_key")
        # Without a name each key is tried.
        assert (await api.get(PATH, headers=GATEWAY.bearer(TEACHER))).status == 200


async def test_the_old_and_the_new_key_of_a_pem_are_both_good(tmp_path: Path) -> None:
    signers = (rsa_signer(), rsa_signer(1), ed_signer())
    async with guarded(tmp_path, keys_of_pem("\n".join(one.pem for one in signers))) as api:
        for signer in signers:
            token = signer.named("any").bearer(TEACHER)  # a PEM has no names
            assert (await api.get(PATH, headers=token)).status == 200
        await is_refused(api, rsa_signer(2).token(TEACHER), "signature")


async def test_what_is_remembered_is_bounded_and_holds_no_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web.tokens, "MAX_REMEMBERED", 3)
    async with guarded(tmp_path, keys_of(GATEWAY)) as api:
        tokens = [GATEWAY.token(TEACHER, jti=str(number)) for number in range(6)]
        # The first is used in between, and so stays.
        for number in (0, 1, 2, 0, 3, 0, 4, 0, 5):
            headers = {"Authorization": f"Bearer {tokens[number]}"}
            assert (await api.get(PATH, headers=headers)).status == 200
        check = api.setup.tokens
        assert check is not None
        kept = [hashlib.sha256(f"Bearer {tokens[n]}".encode()).digest() for n in (4, 0, 5)]
        assert list(check._remembered) == kept


async def test_a_token_is_verified_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with guarded(tmp_path, keys_of(GATEWAY)) as api:
        token = GATEWAY.bearer(TEACHER)
        assert (await api.get(PATH, headers=token)).status == 200

        def never(*_: object) -> None:
            raise AssertionError

        monkeypatch.setattr(TokenCheck, "_signed", never)
        assert (await api.get(PATH, headers=token)).status == 200
        assert (await api.get(PATH, user=OTHER, headers=token)).status == 401


async def test_a_new_key_is_fetched_when_a_token_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = GATEWAY.named("old"), rsa_signer().named("new")
    answers, metrics = JwksAnswers(jwks(old)), Metrics()
    async with answering(answers) as url:
        ring = KeyRing(metrics, (), JwksServer(str(URL(url))))
        check = TokenCheck(ring, [AUDIENCE], metrics)
        setup = Setup(FakeBackend.all_of(None), tokens=check, metrics=metrics)
        async with serving(setup, tmp_path) as api:
            # Nobody has read them yet: the first request does.
            assert (await api.get(PATH, headers=old.bearer(TEACHER))).status == 200
            await is_refused(api, new.token(TEACHER), "unknown_key")
            answers.document = jwks(old, new)
            for _ in range(20):
                await is_refused(api, new.token(TEACHER), "unknown_key")
            assert answers.asked == 1  # not again so soon, whoever asks
            monkeypatch.setattr("web.key_ring.ASKED_SECONDS", 0.0)
            assert (await api.get(PATH, headers=new.bearer(TEACHER))).status == 200
            # The old key goes, and with it what it signed, remembered or not.
            token = old.bearer(TEACHER)
            assert (await api.get(PATH, headers=token)).status == 200
            answers.document = jwks(new)
            assert await ring.renew()
            reply = await api.get(PATH, headers=token)
            assert reply.problem(401, "AUTHENTICATION_REQUIRED")["detail"].endswith("not known.")


async def test_without_any_key_it_cannot_be_told(tmp_path: Path) -> None:
    answers, metrics = JwksAnswers(b"", status=500), Metrics()
    async with answering(answers) as url:
        check = TokenCheck(KeyRing(metrics, (), JwksServer(url)), [AUDIENCE], metrics)
        setup = Setup(FakeBackend.all_of(None), tokens=check, metrics=metrics)
        async with serving(setup, tmp_path) as api:
            reply = await api.get(PATH, headers=GATEWAY.bearer(TEACHER))
            reply.problem(503, "SERVICE_UNAVAILABLE")
            assert reply.headers["Retry-After"] == "1"
            # What no key could make good is told, and services need no token.
            assert (await api.get(PATH)).status == 401
            assert (await api.get(PATH, headers={"Authorization": "Bearer x"})).status == 401
            path = "/internal/v1/batches/class-info"
            assert (await api.send("GET", path, user=None, headers=SERVICE)).status == 200
    causes = {"cause": "token_keys"}
    assert metrics.registry.get_sample_value("class_management_unavailable_total", causes) == 1

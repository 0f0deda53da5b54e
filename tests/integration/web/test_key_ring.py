"""How the keys of tokens come from a JWKS, and stay when it does not answer."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import structlog
from structlog.testing import LogCapture

import web.key_ring
from devstack.rig.waiting import until
from telemetry.metrics import Metrics
from tests.integration.web.jwks_server import JwksAnswers, answering
from tests.support.certificates import self_signed
from tests.support.tokens import Signer, ec_signer, ed_signer, jwks, rsa_signer, secret_signer
from web.jwks import MAX_BYTES, JwksFile, JwksServer
from web.key_ring import MAX_WAITING, KeyRing

OLD = ec_signer().named("old")
NEW = rsa_signer().named("new")


@pytest.fixture(autouse=True)
def at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web.key_ring, "ASKED_SECONDS", 0.0)


@pytest.fixture(autouse=True)
def log(monkeypatch: pytest.MonkeyPatch) -> LogCapture:
    capture = LogCapture()
    monkeypatch.setattr(web.key_ring, "_log", structlog.wrap_logger(None, processors=[capture]))
    return capture


def kids(ring: KeyRing) -> list[str | None]:
    return [key.kid for key in ring.keys]


def count(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"class_management_{name}", labels)


async def comes(condition: Callable[[], bool]) -> None:
    async def look() -> bool:
        return condition()

    await until("the keys", look, pause_seconds=0.01)


@asynccontextmanager
async def running(ring: KeyRing) -> AsyncIterator[None]:
    task = asyncio.create_task(ring.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await ring.close()


def bad_answers() -> dict[str, JwksAnswers]:
    moved = {"Location": "/keys"}
    unfit = Signer("RS256", rsa_signer(1, 1024).key)
    return {
        "empty": JwksAnswers(b""),
        "no keys": JwksAnswers(b'{"keys": []}'),
        "no fit key": JwksAnswers(jwks(unfit)),
        "a secret": JwksAnswers(jwks(secret_signer())),
        "a page": JwksAnswers(b"<html></html>"),
        "too much": JwksAnswers(jwks(NEW) + b" " * MAX_BYTES),
        "not found": JwksAnswers(jwks(NEW), status=404),
        "broken": JwksAnswers(jwks(NEW), status=503),
        "elsewhere": JwksAnswers(jwks(NEW), status=302, headers=moved),
        "not unpacked": JwksAnswers(b"x", headers={"Content-Encoding": "gzip"}),
    }


@pytest.mark.parametrize("kind", bad_answers())
async def test_a_bad_answer_drops_no_key(kind: str, log: LogCapture) -> None:
    answers, metrics = JwksAnswers(jwks(OLD)), Metrics()
    async with answering(answers) as url:
        ring = KeyRing(metrics, (), JwksServer(url))
        assert await ring.renew()
        bad = bad_answers()[kind]
        answers.document, answers.status, answers.headers = bad.document, bad.status, bad.headers
        for _ in range(3):
            assert not await ring.renew()
        assert kids(ring) == ["old"]
        assert ring.state != "ok"
        # One line, however often it fails.
        assert [line["event"] for line in log.entries][1:] == ["token keys not read"]
        assert count(metrics, "token_key_fetches_total", outcome="failed") == 3
        assert count(metrics, "token_keys") == 1
        answers.document, answers.status, answers.headers = jwks(NEW), 200, {}
        assert await ring.renew()
        assert (kids(ring), ring.state) == (["new"], "ok")


async def test_an_address_that_does_not_answer_drops_no_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(web.key_ring, "WAIT_SECONDS", 0.01)
    answers = JwksAnswers(jwks(OLD))
    async with answering(answers) as url:
        ring = KeyRing(Metrics(), (), JwksServer(url))
        await until_renewed(ring)
        asked = answers.asked
        answers.is_answering.clear()
        answers.document = jwks(NEW)
        # Each waits a little, and all for one answer.
        assert not any(await asyncio.gather(*(ring.renew() for _ in range(50))))
        assert kids(ring) == ["old"]
        answers.is_answering.set()
        await comes(lambda: kids(ring) == ["new"])
        assert answers.asked == asked + 1
    assert not await ring.renew()  # nobody listens there any more
    await comes(lambda: "not reached" in ring.state)
    assert kids(ring) == ["new"]
    await ring.close()


async def until_renewed(ring: KeyRing) -> None:
    async with asyncio.timeout(60):
        while not await ring.renew():
            pass


async def test_many_requests_share_one_fetch() -> None:
    answers = JwksAnswers(jwks(OLD))
    async with answering(answers) as url:
        ring = KeyRing(Metrics(), (), JwksServer(url))
        assert all(await asyncio.gather(*(ring.renew() for _ in range(MAX_WAITING))))
    assert answers.asked == 1


async def test_only_some_wait_for_keys_that_do_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web.key_ring, "WAIT_SECONDS", 20.0)
    answers = JwksAnswers(jwks(OLD))
    answers.is_answering.clear()
    async with answering(answers) as url:
        ring = KeyRing(Metrics(), (), JwksServer(url))
        waiting = [asyncio.create_task(ring.renew()) for _ in range(MAX_WAITING)]
        await comes(lambda: answers.asked == 1)
        more = [asyncio.create_task(ring.renew()) for _ in range(MAX_WAITING)]
        done, _ = await asyncio.wait(more)
        assert not any(task.done() for task in waiting)
        assert not any(task.result() for task in done)
        answers.is_answering.set()
        assert all(await asyncio.gather(*waiting))
        # Their places are free again.
        answers.document = jwks(NEW)
        assert all(await asyncio.gather(*(ring.renew() for _ in range(MAX_WAITING))))


@pytest.mark.parametrize("status", [200, 503])
async def test_what_was_read_for_a_request_is_not_read_again_at_once(status: int) -> None:
    answers = JwksAnswers(jwks(OLD), status=status)
    async with answering(answers) as url:
        ring = KeyRing(Metrics(), (), JwksServer(url))
        await ring.renew()
        async with running(ring):
            await asyncio.sleep(0.1)  # as long as a read takes, and longer
    assert answers.asked == 1


async def test_a_key_that_does_not_fit_is_told_once(log: LogCapture) -> None:
    unfit = Signer("RS256", rsa_signer(1, 1024).key, "short")
    answers = JwksAnswers(jwks(OLD, unfit))
    async with answering(answers) as url:
        ring = KeyRing(Metrics(), (), JwksServer(url))
        for _ in range(3):
            await ring.renew()
    assert (kids(ring), ring.state) == (["old"], "ok")
    left_out = [line for line in log.entries if line["event"] == "token keys left out"]
    assert [line["reasons"] for line in left_out] == [["key 1 has 1024 bits, not 2048 to 8192"]]


async def test_keys_are_read_at_the_start_and_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(JwksServer, "interval", 0.01)
    monkeypatch.setattr(web.key_ring, "RETRY_SECONDS", 0.01)
    answers = JwksAnswers(b"", status=503)
    async with answering(answers) as url:
        ring = KeyRing(Metrics(), (), JwksServer(url))
        async with running(ring):
            await comes(lambda: answers.asked > 2)
            assert ring.state == "no key, so callers get 503: answered 503"
            answers.document, answers.status = jwks(OLD), 200
            await comes(lambda: kids(ring) == ["old"])
            answers.document = jwks(NEW)
            await comes(lambda: kids(ring) == ["new"])


async def test_a_file_is_read_again_when_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(JwksFile, "interval", 0.01)
    monkeypatch.setattr(web.key_ring, "RETRY_SECONDS", 0.01)
    path = tmp_path / "keys å.json"
    ring = KeyRing(Metrics(), (), JwksFile(path))
    async with running(ring):
        await comes(lambda: "not read: No such file" in ring.state)
        path.write_bytes(jwks(OLD, secret_signer().named("secret")))
        await comes(lambda: kids(ring) == ["old", "secret"])
        path.write_bytes(jwks(OLD)[:-20])  # half of it is written so far
        await comes(lambda: ring.state == "no JWKS")
        assert kids(ring) == ["old", "secret"]
        path.unlink()
        (tmp_path / "new").write_bytes(jwks(NEW, ed_signer()))
        path.symlink_to(tmp_path / "new")  # as Kubernetes has it
        await comes(lambda: kids(ring) == ["new", None])
        path.unlink()
        path.mkdir()
        await comes(lambda: "directory" in ring.state)
        assert kids(ring) == ["new", None]


async def test_a_certificate_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = self_signed(tmp_path, "localhost")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    answers = JwksAnswers(jwks(OLD))
    async with answering(answers, context) as url:
        stranger = KeyRing(Metrics(), (), JwksServer(url))
        assert not await stranger.renew()
        assert (kids(stranger), answers.asked) == ([], 0)
        assert "CertificateError" in stranger.state
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        ring = KeyRing(Metrics(), (), JwksServer(url))
        assert await ring.renew()
        # And its name.
        other = KeyRing(Metrics(), (), JwksServer(url.replace("localhost", "127.0.0.1")))
        assert not await other.renew()
        assert "CertificateError" in other.state


async def test_keys_that_stay_are_not_read() -> None:
    ring = KeyRing(Metrics(), ())
    assert not ring.is_renewed
    assert not await ring.renew()
    await ring.run()
    await ring.close()

"""The attacks of `faults/attacks/`, with short limits: each connection is ended by the service."""

from pathlib import Path

import pytest

from devstack.ports import LOOPBACK
from faults.attacks import connections as attacks
from tests.integration.web.test_connections import A_CLASS, OPERATIONS, SOON, large, limited
from tests.integration.web.wire import PATIENCE

COUNT = 20


@pytest.mark.parametrize(
    ("attack", "limit"),
    [
        (attacks.idle_sockets, "head_seconds"),
        (attacks.slow_heads, "head_seconds"),
        (attacks.slow_bodies, "body_seconds"),
    ],
)
async def test_what_is_only_held_open_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: attacks.Attack, limit: str
) -> None:
    monkeypatch.setattr(attacks, "DRIP_SECONDS", SOON / 4)
    async with limited(tmp_path, **{limit: SOON}) as api:
        assert await attack(LOOPBACK, api.port, COUNT, PATIENCE) == COUNT


async def test_answers_that_are_not_read_are_ended(tmp_path: Path) -> None:
    async with large(tmp_path, 8 * 1024**2, write_seconds=SOON) as api:
        ended = await attacks.unread_answers(LOOPBACK, api.port, COUNT, PATIENCE, A_CLASS, "t")
        assert ended == COUNT


async def test_a_probe_says_what_it_got(tmp_path: Path) -> None:
    async with limited(tmp_path, connections=0) as api:
        assert await attacks.probe(LOOPBACK, api.port, "/v1/classes") == 503
        probed = [await attacks.probe(LOOPBACK, api.port, path) for path in OPERATIONS]
        assert set(probed) == {200}
        port = api.port
    assert await attacks.probe(LOOPBACK, port, "/livez") is None

from pathlib import Path

import pytest
import redis.asyncio
import redis.exceptions

from devstack.valkey import EmbeddedValkey


async def test_it_publishes_is_killed_and_comes_back_on_its_port(tmp_path: Path) -> None:
    with EmbeddedValkey(tmp_path / "valkey.log") as server:
        async with redis.asyncio.from_url(server.url) as client:
            assert await client.publish("ws:someone", "{}") == 0
            server.kill()
            with pytest.raises(redis.exceptions.ConnectionError):
                await client.ping()
            server.start()
            assert await client.ping()

"""Batches of a fault's own."""

import asyncio
from typing import Final
from uuid import uuid4

from devstack.rig.envelopes import SUGGESTIONS
from faults.injectors.scene import Scene
from faults.sender import enveloped

STORED_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 0.5


async def stored_batch(scene: Scene, size: int) -> tuple[str, list[str]]:
    """Send the suggestions of a batch; return it and its essays once they are stored.

    Raises TimeoutError.
    """
    batch_id, essays = str(uuid4()), [str(uuid4()) for _ in range(size)]
    results = [{"essay_id": essay, "suggestions": []} for essay in essays]
    data = {"batch_id": batch_id, "class_id": scene.health.class_id, "match_results": results}
    await scene.sender.message(SUGGESTIONS, batch_id, enveloped(SUGGESTIONS, data))
    path = f"/v1/batches/{batch_id}/student-associations"
    async with asyncio.timeout(STORED_SECONDS):
        while (await scene.health.calls.read(scene.health.user, path))[0] != 200:  # noqa: ASYNC110  # HTTP is asked
            await asyncio.sleep(LOOK_SECONDS)
    return batch_id, essays


def decisions_on(essays: list[str]) -> dict[str, object]:
    """Return the body that gives essays to the UNKNOWN student of their class."""
    return {"associations": [{"essay_id": essay, "confirmed": False} for essay in essays]}

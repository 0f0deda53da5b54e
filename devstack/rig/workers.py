"""How two workers share the stream table."""

from devstack.rig.http import Http
from devstack.rig.kafka import PARTITIONS
from devstack.rig.service import ServiceProcess
from devstack.rig.waiting import until


async def partitions_of(http: Http) -> int:
    """Return how many partitions a worker holds."""
    table = (await http.internal_json("/internal/v1/worker/tables"))["table"]
    return len(table["partitions"])


async def both_hold_partitions(http: Http, second: ServiceProcess) -> None:
    """Wait until both workers together hold all partitions, and each at least one."""
    held = (0, 0)

    async def shared() -> bool:
        nonlocal held
        held = (await partitions_of(http), await partitions_of(Http(http.session, second.port)))
        return min(held) > 0 and sum(held) == PARTITIONS

    await until("both workers to hold partitions", shared, lambda: held)

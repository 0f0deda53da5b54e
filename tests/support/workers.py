"""Several workers: who holds how much of the stream table."""

from tests.support.http import Http
from tests.support.kafka import PARTITIONS
from tests.support.service import ServiceProcess
from tests.support.waiting import until


async def partitions_of(http: Http) -> int:
    """Return how many partitions a worker holds."""
    table = (await http.told("/internal/v1/worker/tables"))["table"]
    return len(table["partitions"])


async def both_hold_partitions(http: Http, second: ServiceProcess) -> None:
    """Wait until the work is shared."""

    async def shared() -> bool:
        here = await partitions_of(http)
        there = await partitions_of(Http(http.session, second.port))
        return 0 < here < PARTITIONS and here + there == PARTITIONS

    await until("both workers to hold partitions", shared)

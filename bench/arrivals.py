"""What arrives on a topic from now on."""

from typing import Final

from aiokafka import AIOKafkaConsumer

#: Kafka answers as soon as there is something; the embedded broker after half of this.
WAIT_MS: Final = 10
#: The embedded broker counts a batch of several records as one when asked where a log ends, so that
#: there may be something to read behind that, until nothing comes for so long.
SILENCE_MS: Final = 500


async def consumer_at_end(servers: str, topic: str, wait_ms: int = WAIT_MS) -> AIOKafkaConsumer:
    """Return a consumer of all partitions, without a group, that reads what comes from now on."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=servers, enable_auto_commit=False, fetch_max_wait_ms=wait_ms
    )
    await consumer.start()
    await consumer.seek_to_end()
    for partition in consumer.assignment():
        await consumer.position(partition)
    while await consumer.getmany(timeout_ms=SILENCE_MS):
        pass
    return consumer

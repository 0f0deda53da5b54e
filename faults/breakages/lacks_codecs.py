"""The library of Kafka's codecs is missing: aiokafka cannot read snappy, lz4 and zstd."""

from aiokafka import codec

setattr(codec, "cramjam", None)  # noqa: B010  # mypy does not see the name

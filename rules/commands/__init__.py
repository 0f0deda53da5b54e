"""Commands over Kafka: what they carry, in which order they run, what their results are."""

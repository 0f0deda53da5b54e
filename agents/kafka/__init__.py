"""Kafka clients of our own: configuration, producer, topics, log reader. Nothing of Faust."""

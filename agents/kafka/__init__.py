"""Our own Kafka clients: configuration, producer, topics, log reader. Nothing of Faust."""

"""Commands over Kafka: what they contain, the order in which they run, their results."""

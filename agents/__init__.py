"""What runs on Kafka: agents, the outbox relay, the timers' loops, and their health."""

"""`class-management send`: commands over Kafka, like those of other services."""

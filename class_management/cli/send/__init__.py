"""`class-management send`: commands from the command line, over Kafka like everybody's."""

"""Consumers of Kafka topics: how each message is read, stored, retried or dead-lettered."""

"""The documents that describe the service, made from its own tables and models."""

"""A record batch that cannot be decoded is fetched again for ever."""

from agents.kafka import fetching

setattr(fetching, "FETCHES", 10**9)  # noqa: B010  # final for mypy

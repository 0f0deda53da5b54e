"""Exports and erasings of personal data, on PostgreSQL. They are rare: memory has none."""

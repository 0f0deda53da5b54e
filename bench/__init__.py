"""Measures the service, each figure beside what the same work costs at the least (its floor)."""

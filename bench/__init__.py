"""Measures the service, each figure beside the least cost of the same work (its floor)."""

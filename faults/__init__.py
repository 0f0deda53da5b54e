"""Injects faults into the running service, and checks that nothing is lost."""

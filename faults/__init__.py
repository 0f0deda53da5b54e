"""Plays faults against the running service, and checks that nothing is lost."""

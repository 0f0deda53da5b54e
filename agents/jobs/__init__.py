"""Loops that run beside the consumers: relay, timers, reconciler, housekeeping."""

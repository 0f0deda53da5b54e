"""The rig: the service as a process on servers of its own, and clients that speak to it.

Tests, `bench/`, `faults/` and the demo use it; it knows the service from outside only.
"""

"""The rules of the service: pure functions and plain values, no I/O."""

"""The load of a working day: everything at once, at an even, moderate rate."""

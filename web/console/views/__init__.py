"""The views of the console; each module has the operations of its paths in OPERATIONS."""

"""Inspection of the stream tables over all workers."""

"""Looks for dead letters in their topics, and carries out what people decide about them."""

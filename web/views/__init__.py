"""The views, by path."""

"""Rosters from files: what a file says, what it would change, and how that is taken back."""

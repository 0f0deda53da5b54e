"""The views: what each path does."""

"""Programs that do one kind of work and nothing else, for its least cost."""

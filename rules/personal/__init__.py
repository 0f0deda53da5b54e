"""Personal data: where the service keeps it, whose it is, how it is shown and erased."""

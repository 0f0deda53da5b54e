"""What a working day asks of the service, all at once and at an even, moderate pace."""

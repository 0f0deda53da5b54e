"""What those who wish the service ill do to it from outside."""

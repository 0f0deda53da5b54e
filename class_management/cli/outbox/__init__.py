"""`class-management outbox`: people decide about messages that the broker refuses for good."""

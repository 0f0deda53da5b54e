"""`class-management batch`: the story of a batch."""

"""`class-management tables`: the stream table of all workers, over HTTP."""

"""`class-management tables`: looks into the stream table of all workers, over HTTP."""

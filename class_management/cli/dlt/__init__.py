"""`class-management dlt`: people look at dead letters and decide about them."""

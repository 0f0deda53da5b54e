"""`class-management dlt`: dead letters, looked at and decided about by people."""

"""What operators see of a running worker: metrics and logs. Nothing personal is in them."""

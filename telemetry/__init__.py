"""What operators see of a running worker: metrics and logs. Nothing personal gets in."""

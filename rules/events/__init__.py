"""Events: the envelope, and what each change publishes."""

"""`make demo`: a teacher's day, played against a running service.

The demo uses only the service's interfaces: HTTP as a teacher, Kafka as the matching service
and as a reader of the events, and Redis as a teacher's browser. Each run creates a new
teacher, so it can be repeated.
"""

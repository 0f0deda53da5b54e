"""`make demo`: a teacher's day, played against a running service.

Nothing is looked up behind the service's back: the demo talks HTTP as a teacher, Kafka as
the matching service and as whoever reads the events, and Redis as a teacher's browser.
Each run is a teacher of its own, so it can be repeated as often as one likes.
"""

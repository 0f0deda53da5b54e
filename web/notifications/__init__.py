"""Real-time messages for browsers: what is on Redis for a user goes out on the user's streams.

A process has one subscription for all of its streams, and each stream a bounded queue. Nothing is
kept: who may have missed something is told so (`resync`), and reads what there is.
"""

"""What the agents and the views require of a store.

Each operation that changes something is one transaction: its rows and the messages that it
publishes (outbox) are stored together or not at all. Operations of every protocol raise
StoreUnavailableError when the database does not answer; the call may then be repeated.
"""

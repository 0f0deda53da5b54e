"""What the agents and the views ask of a store.

Each operation that changes something is one transaction: its rows and the messages that it
publishes (outbox) are stored together or not at all. Operations of every protocol raise
StoreUnavailableError when the database does not answer; what was asked may then be repeated.
"""

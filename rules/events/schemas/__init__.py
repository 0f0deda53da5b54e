"""Models of what is published: what the AsyncAPI document says, and the tests check events against.

Events are written without them (rules.events): validating each one would cost more than writing it.
"""

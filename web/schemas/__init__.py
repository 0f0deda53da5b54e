"""Models of the answers: what the OpenAPI document says, and the tests check answers against.

Handlers write their answers without them (the hot ones are bytes that the database made).
"""

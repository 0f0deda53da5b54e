"""The store in the process's memory (USE_MOCK_REPOSITORY=true): the same rules, nothing lasts.

No operation awaits anything between its first look and its last change, so that each is one
transaction to everything else on the event loop. Whatever can refuse comes before the first change.
"""

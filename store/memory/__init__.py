"""The store in the process's memory (USE_MOCK_REPOSITORY=true): the same rules, nothing persists.

No operation awaits anything between its first look and its last change, so that each is one
transaction to everything else on the event loop. All checks come before the first change.
"""

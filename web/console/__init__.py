"""The console: the pages of teachers and operators, over the same operations as the API.

No rule of the service lives here. A page reads and changes what it shows by what the composition
root gives the views (web.services), as the views of the API do.
"""

"""The Class Management Service: the composition root, and the command line over it.

A wheel must not install names as common as `rules` or `web` beside other distributions. So an
installed service has its other rooms in the private folder `_rooms`, and this module puts it first
on the path. A checkout has no such folder: the rooms are beside this one.
"""

import os
import sys

# No pathlib before `__main__` has taken the working directory off the path: one could be in it.
_rooms = os.path.join(os.path.dirname(__file__), "_rooms")  # noqa: PTH118, PTH120
INSTALLED = os.path.isdir(_rooms)  # noqa: PTH112
if INSTALLED:
    sys.path.insert(0, _rooms)

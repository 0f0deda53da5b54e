"""The Class Management Service: the composition root, and the command line over it.

A wheel must not put names as common as `rules` or `web` where other distributions live. So an
installed service has its other rooms in the private folder `_rooms`, and this puts it first on the
path. In a checkout there is no such folder: the rooms lie beside this one.
"""

import os
import sys

# No pathlib before `__main__` has taken the working directory off the path: it could lie there.
_rooms = os.path.join(os.path.dirname(__file__), "_rooms")  # noqa: PTH118, PTH120
if os.path.isdir(_rooms):  # noqa: PTH112
    sys.path.insert(0, _rooms)

"""The Class Management Service: the composition root, and the command line over it.

A wheel must not put names as common as `rules` or `web` where other distributions live. So an
installed service has its other rooms in the private folder `_rooms`, and this puts it first on the
path. In a checkout there is no such folder: the rooms lie beside this one.
"""

import sys
from pathlib import Path

_rooms = Path(__file__).with_name("_rooms")
if _rooms.is_dir():
    sys.path.insert(0, str(_rooms))

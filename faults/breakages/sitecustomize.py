"""Breaks a worker on purpose, from its first line on: put this folder on PYTHONPATH.

BREAKAGE names the file beside this one that does it. Nothing of the service knows of this; the
checker is trusted because it has found each of them.
"""

import importlib
import os

importlib.import_module(os.environ["BREAKAGE"])

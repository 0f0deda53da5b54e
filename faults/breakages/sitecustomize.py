"""Breaks a worker on purpose, from its first line on: put this folder on PYTHONPATH.

BREAKAGE names the file in this folder that does it. The service does not know about this; the
checker is trusted because it finds each breakage.
"""

import importlib
import os

importlib.import_module(os.environ["BREAKAGE"])

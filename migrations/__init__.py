"""The database schema, as Alembic migrations."""

from typing import Final

#: The revision that this version of the service needs. A test compares it with Alembic's head; it
#: is here so that a start with nothing to migrate does not import Alembic.
HEAD: Final = "0015"

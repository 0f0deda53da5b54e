"""The database schema, as Alembic migrations."""

from typing import Final

#: The revision that this version of the service works on. A test holds it to Alembic's head;
#: it is here so that a start without anything to migrate does not import Alembic.
HEAD: Final = "0005"

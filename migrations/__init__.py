"""The database schema, as Alembic migrations."""

from typing import Final

#: The revision that this version of the service works on. A test holds it to Alembic's head;
#: it stands here so that a start need not import Alembic to see that nothing is to be done.
HEAD: Final = "0005"

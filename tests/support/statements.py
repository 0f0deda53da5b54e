"""The statements of the store, for tests that look at all of them."""

from store.postgres import sql


def named(subject: str) -> dict[str, str]:
    """Return the statements of a subject by name. Another subject may have the same names."""
    found = vars(getattr(sql, subject)).items()
    return {name: text for name, text in found if name.isupper() and name[0] != "_"}

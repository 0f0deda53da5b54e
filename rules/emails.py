"""Email addresses: what one is, which ones belong to the service, and how they are compared."""

import re
import unicodedata
from functools import lru_cache
from typing import Final

import email_validator

#: RFC 5321, section 4.5.3.1.3. Callers check it before they ask anything else about a text: the
#: time that the library takes grows with the square of an address's length.
MAX_ADDRESS: Final = 254

#: The domain of the UNKNOWN students' addresses.
OWN_DOMAIN: Final = "huleedu.system"

#: Plainly valid addresses, unless they are too long: a thousand students take a third of the time
#: of a check by the RFCs.
_PLAIN_ADDRESS: Final = re.compile(
    r"(?=[^@]{1,64}@)[A-Za-z0-9_+-]++(?:\.[A-Za-z0-9_+-]++)*+"
    r"@(?:[A-Za-z0-9]{1,63}+\.){1,5}[A-Za-z]{2,24}",
    re.ASCII,
)

#: What follows the last dot of a domain, in any form that the library accepts (UTS 46).
_LAST_LABEL: Final = re.compile("(?<=[.\u3002\uff0e\uff61])[^.\u3002\uff0e\uff61]+\\Z")

#: Answers of the library that are kept: it takes up to 5 ms, and a roster with a bad row is read
#: twice.
_KEPT: Final = 1_000


def is_plain(address: str) -> bool:
    """Whether nobody doubts that a text is an address; the library judges all others."""
    return len(address) <= MAX_ADDRESS and _PLAIN_ADDRESS.fullmatch(address) is not None


def domain_of(address: str) -> str | None:
    """Return an address's domain as DNS compares it, None if the text is not an address.

    That is IDNA's ASCII form in lower case.
    """
    if is_plain(address):
        return address.rpartition("@")[2].lower()
    return _judged(address)


def key_of(address: str) -> str:
    """Return what an owner's addresses are compared by: those of one mailbox have one key.

    Case and Unicode's forms do not distinguish, nor the ways to write a domain. Whatever else the
    text is, an address of an earlier version or none, it has a key.
    """
    if len(address) > MAX_ADDRESS or is_plain(address):
        return address.lower()
    local, at, domain = address.rpartition("@")
    return f"{_folded(local)}{at}{_judged(address) or _folded(domain)}"


def _folded(text: str) -> str:
    """Return a text as those that differ in case or form only have it (Unicode, D145).

    The Turkish capital I with a dot is an "i": folding by the letter would leave its dot, which
    PostgreSQL's lower() does not.
    """
    folded = unicodedata.normalize("NFD", text).casefold().replace("i\u0307", "i")
    return unicodedata.normalize("NFC", folded)


@lru_cache(_KEPT)
def _judged(address: str) -> str | None:
    public, reserved = _of_public_domain(address)
    try:
        found = email_validator.validate_email(public, check_deliverability=False)
    except email_validator.EmailNotValidError:
        return None
    domain = found.ascii_domain.lower()
    return f"{domain.rpartition('.')[0]}.{reserved}" if reserved else domain


def is_own(domain: str) -> bool:
    """Whether a domain, as `domain_of` returns it, belongs to the service."""
    return f".{domain}".endswith(f".{OWN_DOMAIN}")


def _of_public_domain(address: str) -> tuple[str, str | None]:
    """Return an address of the same form whose domain the library does not reserve.

    And what its last label was if that is reserved. Schools use names of their own networks;
    whether mail arrives there is not checked here.
    """
    label = _LAST_LABEL.search(address)
    if label is None:
        return address, None
    # The library's mapping of domains (UTS 46) drops combining marks that NFKC keeps.
    plain = "".join(c for c in label[0] if unicodedata.category(c) != "Mn")
    name = unicodedata.normalize("NFKC", plain).casefold()
    if name not in email_validator.SPECIAL_USE_DOMAIN_NAMES:
        return address, None
    # About as many bytes as before: the length of an address is limited.
    ordinary = "x" if plain[0].isascii() else "\uff58"
    return address[: label.start()] + label[0].replace(plain[0], ordinary, 1), name

"""Unpacks compressed bodies, as they arrive and no further than they may be large.

aiohttp's own way takes a gzip body that breaks off, and unpacks what nobody has asked for yet.
"""

import zlib
from typing import Final

#: The forms that zlib knows by their window: gzip (RFC 1952), zlib (RFC 1950), which HTTP calls
#: deflate, and bare deflate (RFC 1951), which some send in its place.
_GZIP: Final = 31
_ZLIB: Final = 15
_BARE: Final = -15
_METHOD_BITS: Final = 0x0F
_ZLIB_METHOD: Final = 8


class NotWholeError(ValueError):
    """What was sent is not so packed, or not all of it."""


class Unpacker:
    """Unpacks one body. Each method raises NotWholeError."""

    def __init__(self, encoding: str) -> None:
        """Unpack `encoding`: gzip or deflate."""
        self._is_gzip = encoding == "gzip"
        self._unpacking: zlib._Decompress | None = None

    def feed(self, packed: bytes, most: int) -> bytes:
        """Return what is in the next part, `most` bytes of it at most."""
        if self._unpacking is None:
            self._unpacking = zlib.decompressobj(self._window(packed))
        try:
            unpacked = self._unpacking.decompress(packed, most)
        except zlib.error as error:
            raise NotWholeError(str(error)) from None
        if self._unpacking.unused_data:
            raise NotWholeError("something follows")
        return unpacked

    def end(self) -> None:
        """Check that nothing is missing, the checksum included."""
        if self._unpacking is None or not self._unpacking.eof:
            raise NotWholeError("broken off")

    def _window(self, packed: bytes) -> int:
        if self._is_gzip:
            return _GZIP
        return _ZLIB if packed[0] & _METHOD_BITS == _ZLIB_METHOD else _BARE

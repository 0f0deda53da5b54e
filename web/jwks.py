"""Where a JWKS is read from: a server or a file."""

import asyncio
import ssl
from http import HTTPStatus
from pathlib import Path
from typing import Final, Protocol

import aiohttp

#: A JWKS of 32 keys of 8192 bits has 60 KB.
MAX_BYTES: Final = 256 * 1024
TIMEOUT_SECONDS: Final = 5.0
SERVER_INTERVAL_SECONDS: Final = 300.0
FILE_INTERVAL_SECONDS: Final = 5.0


class NotReadError(Exception):
    """The JWKS cannot be read; the message says why, without its address."""


class JwksSource(Protocol):
    """A place that has a JWKS, to be looked at every `interval` seconds.

    `is_private`: nobody else can read it, so that it may have secrets.
    """

    @property
    def interval(self) -> float:
        """The seconds between two looks."""

    @property
    def is_private(self) -> bool:
        """Whether it may have secrets."""

    async def read(self) -> bytes:
        """Return the document. Raises NotReadError."""


class JwksServer:
    """A JWKS at https:// or http://."""

    interval = SERVER_INTERVAL_SECONDS
    is_private = False

    def __init__(self, url: str) -> None:
        self._url = url
        # aiohttp's own was made when it was imported: this one heeds SSL_CERT_FILE as it is now.
        self._tls = ssl.create_default_context()

    async def read(self) -> bytes:
        """Ask the server; redirects are not followed: they might lead to http://."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as link,
                link.get(self._url, ssl=self._tls, allow_redirects=False) as response,
            ):
                if response.status != HTTPStatus.OK:
                    raise NotReadError(f"answered {response.status}")
                return await _bounded(response.content)
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError) as error:
            raise NotReadError(f"not reached: {type(error).__name__}") from error


async def _bounded(stream: aiohttp.StreamReader) -> bytes:
    document = bytearray()
    async for piece in stream.iter_any():
        document += piece
        if len(document) > MAX_BYTES:
            raise NotReadError(f"has more than {MAX_BYTES} bytes")
    return bytes(document)


class JwksFile:
    """A JWKS in a file, which others replace."""

    interval = FILE_INTERVAL_SECONDS
    is_private = True

    def __init__(self, path: Path) -> None:
        self._path = path

    async def read(self) -> bytes:
        """Read the file, in a thread: its file system may hang."""
        try:
            return await asyncio.to_thread(self._read)
        except OSError as error:
            raise NotReadError(f"not read: {error.strerror}") from error

    def _read(self) -> bytes:
        with self._path.open("rb") as file:
            document = file.read(MAX_BYTES + 1)
        if len(document) > MAX_BYTES:
            raise NotReadError(f"has more than {MAX_BYTES} bytes")
        return document

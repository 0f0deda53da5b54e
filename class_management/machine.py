"""What a worker needs of its machine, looked at before it starts: its address and its folder."""

import errno
import fcntl
import os
import socket
from pathlib import Path
from typing import IO, Any, Final

from class_management.settings import PREFIX, Role, Settings, SettingsError

#: In DATA_DIR, locked by the worker whose folder it is.
LOCK: Final = "worker.lock"

_held: Final[list[IO[bytes]]] = []


def check_machine(settings: Settings) -> None:
    """Raise SettingsError, with one line for the operator, where the worker could not start."""
    check_address(settings.host, settings.port, shared=settings.role is Role.WEB)
    if settings.role.has_streams:
        claim_folder(settings.data_dir)


def check_address(host: str, port: int, *, shared: bool) -> None:
    """Raise SettingsError if nothing can listen there now; `shared` ports may be listened at."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:  # the latter for a label of more than 63 characters
        why = f"{host} is no address of this machine: {error}"
        raise SettingsError(f"{PREFIX}HOST: {why}") from None
    for family, kind, protocol, _, address in found:
        try:
            with socket.socket(family, kind, protocol) as probe:
                _bind_as_the_server_does(probe, address, shared=shared)
        except OSError as error:
            raise SettingsError(_unbound(host, port, error)) from None


def claim_folder(folder: Path) -> None:
    """Make the folder, and keep other workers out of it for as long as this process lives.

    Raises SettingsError if it cannot be made or written, or is another worker's.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("ab")
    except OSError as error:
        why = f"{folder} cannot be made or written: {error.strerror}"
        raise SettingsError(f"{PREFIX}DATA_DIR: {why}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        why = f"{folder} is in use by another worker; each needs a folder of its own"
        raise SettingsError(f"{PREFIX}DATA_DIR: {why}") from None
    except OSError:
        lock.close()  # a file system without locks: RocksDB has its own
    else:
        _held.append(lock)


def _bind_as_the_server_does(
    probe: socket.socket, address: tuple[Any, ...], *, shared: bool
) -> None:
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if probe.family is socket.AF_INET6:
        probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    probe.bind(address)


def _unbound(host: str, port: int, error: OSError) -> str:
    """Return which setting is wrong, and how."""
    if error.errno == errno.EADDRINUSE:
        return f"{PREFIX}PORT: {port} on {host} is in use; stop what listens there or set another"
    if error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
        return f"{PREFIX}HOST: {host} is no address of this machine"
    reason = os.strerror(error.errno or 0)
    return f"{PREFIX}PORT: cannot listen at {port} on {host}: {reason}"

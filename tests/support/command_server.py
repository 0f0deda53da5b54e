"""Runs the command line in forks of a process that has imported it: a start takes a second of CPU.

What a test asserts is the same as of the program, which tests of its start call themselves.
"""

import ctypes
import os
import pickle
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn, TypedDict

#: From <sys/prctl.h>: the signal that a process gets when its parent ends.
_PR_SET_PDEATHSIG = 1


class Request(TypedDict):
    arguments: tuple[str, ...]
    environ: dict[str, str]
    stdin: bytes


class Reply(TypedDict):
    code: int
    out: bytes
    err: bytes


def serve(path: str) -> None:
    """Answer each connection by a fork of its own; print a line once connections are taken."""
    _preload()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    _answer(connection)


def _preload() -> None:
    """Import what the commands import when they run."""
    import class_management.cli.main  # noqa: F401, PLC0415
    from class_management.cli import output  # noqa: F401, PLC0415
    from class_management.cli.dlt import decisions, listing  # noqa: F401, PLC0415
    from class_management.cli.send import exchange, lines, report  # noqa: F401, PLC0415
    from class_management.cli.tables import client, comparison  # noqa: F401, PLC0415


def _answer(connection: socket.socket) -> NoReturn:
    _die_with_parent()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with connection.makefile("rb") as incoming:
        request: Request = pickle.load(incoming)  # noqa: S301  # from the tests beside this file
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("in", "out", "err")]
        files[0].write_bytes(request["stdin"])
        child = os.fork()
        if child == 0:
            _run(request, files)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        reply = Reply(code=code, out=files[1].read_bytes(), err=files[2].read_bytes())
    connection.sendall(pickle.dumps(reply))
    os._exit(0)


def _run(request: Request, files: list[Path]) -> NoReturn:
    flags = (os.O_RDONLY, os.O_WRONLY | os.O_CREAT, os.O_WRONLY | os.O_CREAT)
    streams = [os.open(file, how) for file, how in zip(files, flags, strict=True)]
    become(request["arguments"], request["environ"], streams)
    code = 1
    try:
        from class_management.__main__ import main  # noqa: PLC0415

        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  # as the interpreter would
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def become(arguments: Sequence[str], environ: Mapping[str, str], streams: Sequence[int]) -> None:
    """Have a fork be the program, with its input, output and errors; it ends with its parent."""
    _die_with_parent()
    for descriptor, stream in enumerate(streams):
        os.dup2(stream, descriptor)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = ["class-management", *arguments]


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def ask(path: str, request: Request, seconds: float) -> Reply:
    """Have a command run. Raises TimeoutError."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(seconds)
        connection.connect(path)
        connection.sendall(pickle.dumps(request))
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as incoming:
            reply: Reply = pickle.load(incoming)  # noqa: S301  # likewise
    return reply


if __name__ == "__main__":
    serve(*sys.argv[1:])

"""Jobs that do what real ones must not."""

import os
import signal
import time
from dataclasses import dataclass

from rules.errors import FieldError, ValidationFailedError
from rules.imports.files import FileRefusedError


@dataclass(frozen=True)
class Tell:
    """Tells the process that it runs in, and what that knows."""

    def run(self) -> tuple[int, frozenset[str]]:
        return os.getpid(), frozenset(os.environ)


@dataclass(frozen=True)
class Sleep:
    seconds: float = 600

    def run(self) -> None:
        time.sleep(self.seconds)


@dataclass(frozen=True)
class Spin:
    """Holds an interpreter, as a bad pattern or one long call would."""

    def run(self) -> None:
        while True:
            sum(range(10_000_000))


@dataclass(frozen=True)
class Die:
    def run(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Refuse:
    def run(self) -> None:
        raise ValidationFailedError("Not so.", [FieldError("/mode", "Otherwise.")])


@dataclass(frozen=True)
class RefuseFile:
    def run(self) -> None:
        raise FileRefusedError


@dataclass(frozen=True)
class Fail:
    secret: str

    def run(self) -> None:
        raise RuntimeError(self.secret)


@dataclass(frozen=True)
class Return:
    """Returns so many bytes, which it holds several times meanwhile."""

    size: int

    def run(self) -> bytes:
        return bytes(self.size)


@dataclass(frozen=True)
class Carry:
    """Brings bytes along, and tells how many arrived."""

    load: bytes

    def run(self) -> int:
        return len(self.load)


class Opaque:
    """Something that cannot be sent."""

    def __reduce__(self) -> str:
        raise TypeError("opaque")


@dataclass(frozen=True)
class ReturnOpaque:
    def run(self) -> Opaque:
        return Opaque()

"""The addresses that `make run` has written."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from devstack.demo.errors import HOW_TO_START, DemoError
from devstack.ports import reachable
from devstack.stack import PREFIX


@dataclass(frozen=True)
class Addresses:
    """The addresses of the running service and its servers."""

    host: str
    port: int
    kafka: str
    redis: str
    internal_api_key: str

    @property
    def http(self) -> str:
        """The service's address for a browser."""
        return f"http://{self.host}:{self.port}"


def read_addresses(path: Path) -> Addresses:
    """Read the file of `make run`. Raises `DemoError` if nothing runs."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        raise DemoError(f"no running service: there is no {path}; {HOW_TO_START}") from None
    values = dict(_value(line) for line in lines if "=" in line)
    try:
        host = reachable(values["HOST"])
        return Addresses(
            host=f"[{host}]" if ":" in host else host,
            port=int(values["PORT"]),
            kafka=values["KAFKA_BOOTSTRAP_SERVERS"],
            redis=values["REDIS_URL"],
            internal_api_key=values["INTERNAL_API_KEY"],
        )
    except KeyError as error:
        raise DemoError(f"{path} lacks {PREFIX}{error.args[0]}; {HOW_TO_START}") from None


def _value(line: str) -> tuple[str, str]:
    """Read a line as a shell does that takes it in."""
    name, _, quoted = line.removeprefix(PREFIX).partition("=")
    return name, "".join(shlex.split(quoted))

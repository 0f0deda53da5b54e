"""Runs uv as pip is configured: `python -m devstack.uv PROGRAM ARGUMENT...`.

uv reads nothing of pip's own configuration: its files, and the variables that begin with PIP_.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from pip._internal.commands import create_command


def uv_environ(options: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401  # pip's, which has no types
    """Yield uv's variables for options of pip."""
    yield "UV_DEFAULT_INDEX", options.index_url
    yield "UV_INDEX", " ".join(options.extra_index_urls)
    # As pip does. What was built differently elsewhere has another hash, and is not installed.
    yield "UV_INDEX_STRATEGY", "unsafe-best-match"
    yield "UV_FIND_LINKS", ",".join(options.find_links)
    yield "UV_INSECURE_HOST", " ".join(options.trusted_hosts)
    yield "UV_HTTP_TIMEOUT", str(round(options.timeout))
    yield "SSL_CERT_FILE", options.cert or ""
    yield "SSL_CLIENT_CERT", options.client_cert or ""
    yield "ALL_PROXY", options.proxy or ""
    if options.proxy:
        yield from ((name, options.proxy) for name in ("HTTP_PROXY", "HTTPS_PROXY"))


def pip_options() -> Any:  # noqa: ANN401
    """Return the options that pip would install with."""
    return create_command("install").parser.get_default_values()


def main(command: list[str], environ: Mapping[str, str]) -> None:
    """Become uv. What uv's own variables say counts more than what pip's do."""
    options = pip_options()
    told = {name: value for name, value in uv_environ(options) if value}
    own = {name: value for name, value in environ.items() if name.startswith("UV_")}
    arguments = [*command, "--no-index"] if options.no_index else command
    os.execve(command[0], arguments, {**environ, **told, **own})  # noqa: S606  # it becomes uv


if __name__ == "__main__":
    main(sys.argv[1:], os.environ)

"""Answers that no request may get."""

from collections.abc import Iterator

from faults.checker.findings import Finding, Kind
from faults.checker.index import Index

#: A 503 says that nothing was done; these are errors that the service did not handle.
NEVER = frozenset({500, 502, 504})


def check(index: Index) -> Iterator[Finding]:
    """Check the answers to changes and to reads."""
    for op in index.history.ops:
        if op.status in NEVER:
            yield Finding(Kind.BROKEN, f"{op.kind} {op.id} was answered {op.status}", op.began)
    for path, status in index.history.reads:
        if status in NEVER:
            yield Finding(Kind.BROKEN, f"GET {path} was answered {status}")

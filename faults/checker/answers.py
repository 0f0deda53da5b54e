"""Answers that no request may get."""

from collections.abc import Iterator, Mapping

from faults.checker.decisions import listed
from faults.checker.findings import Finding, Kind
from faults.checker.index import CONFIRM, CORRECT, Index
from faults.history import Op, Outcome

#: A 503 says that nothing was done; these are errors that the service did not handle.
NEVER = frozenset({500, 502, 504})


def check(index: Index) -> Iterator[Finding]:
    """Check the answers to changes and to reads."""
    for op in index.history.ops:
        for one in op.attempts:
            if one.status in NEVER:
                what = f"{op.kind} {op.id} was answered {one.status}"
                yield Finding(Kind.BROKEN, what, one.began)
        if op.attempts and op.outcome is Outcome.ACKED and not _is_true(index, op):
            what = f"{op.kind} {op.id} of {op.target} was answered {op.answer}"
            yield Finding(Kind.ALTERED, what, op.began)
    for path, status in index.history.reads:
        if status in NEVER:
            yield Finding(Kind.BROKEN, f"GET {path} was answered {status}")


def _is_true(index: Index, op: Op) -> bool:
    """Whether an answer tells what was asked for; events are compared with that elsewhere."""
    if op.kind.endswith(".delete"):
        return op.answer is None
    if not isinstance(op.answer, dict):
        return False
    if op.kind == CONFIRM:
        return _is_total(index, op)
    return all(op.answer.get(name) == value for name, value in _wanted(op).items())


def _wanted(op: Op) -> Mapping[str, object]:
    """Return members of the answer to a change."""
    if op.kind == CORRECT:
        return op.body
    name = {"name": op.body["name"]} if "name" in op.body else {}
    if "person_name" in op.body:
        name = {one: op.body["person_name"][one] for one in ("first_name", "last_name")}
    return {"id": op.body.get("into", op.target)} | name


def _is_total(index: Index, op: Op) -> bool:
    """Whether the totals of a batch are right: of at most all its essays, with those decided."""
    decided = op.answer["associations_confirmed"] + op.answer["associations_rejected"]
    pending = op.answer["associations_pending"]
    there = len(index.world.essays_of.get(str(op.target), ()))
    is_all = (op.answer["status"] == "confirmed") == (pending == 0)
    return bool(is_all and len(listed(op)) <= decided and decided + pending <= there)

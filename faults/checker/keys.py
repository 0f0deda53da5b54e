"""Idempotency keys: each request is known in the end, and done once however often it was sent."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

from faults.checker.findings import Finding, Kind
from faults.checker.index import Index
from faults.history import Attempt, Op, Outcome


def check(index: Index) -> Iterator[Finding]:
    """Check the answers to the requests of each key, and what is kept of them."""
    for op in index.history.ops:
        if op.attempts:
            yield from _known(op)
            yield from _kept(index, op)
            yield from _effects(index, op)
            yield from _alike(op)
    asked = {op.id for op in index.history.ops if op.attempts}
    for key in index.world.keys.keys() - asked:
        yield Finding(Kind.UNASKED, f"an answer is kept for {key}, which nobody has sent")


def _known(op: Op) -> Iterator[Finding]:
    if op.outcome is Outcome.UNKNOWN:
        what = f"{op.kind} {op.id} is unknown after {len(op.attempts)} requests"
        yield Finding(Kind.STUCK, what, op.began)


def _kept(index: Index, op: Op) -> Iterator[Finding]:
    """Check that an answer is kept if, and only if, the request is done."""
    kept = index.world.keys.get(op.id)
    if op.outcome is Outcome.ACKED and kept is None:
        yield Finding(Kind.LOST, f"{op.kind} {op.id} was acknowledged, and is not kept", op.began)
    elif op.outcome in {Outcome.REFUSED, Outcome.NEVER} and kept is not None:
        what = f"{op.kind} {op.id} was not done ({op.outcome}), and {kept} is kept"
        yield Finding(Kind.UNASKED, what, op.began)
    elif op.outcome is Outcome.ACKED and kept != op.status:
        what = f"{op.kind} {op.id} was answered {op.status}, and {kept} is kept"
        yield Finding(Kind.ALTERED, what, op.began)


def _effects(index: Index, op: Op) -> Iterator[Finding]:
    """Check that one request took effect, and that each other one says that it did not."""
    done = [one for one in op.attempts if one.outcome is Outcome.ACKED]
    made_by = index.made_by.get(op.id, set())
    what = f"{op.kind} {op.id}, {len(op.attempts)} requests"
    if len(made_by) > 1:
        yield Finding(Kind.DOUBLED, f"{what}: {len(made_by)} of them took effect", op.began)
    elif sum(not one.is_replay for one in done) > 1:
        yield Finding(Kind.DOUBLED, f"{what}: more than one was answered as new", op.began)
    elif wrong := _mistold(done, made_by):
        said = "repeated" if wrong.is_replay else "new"
        yield Finding(Kind.ALTERED, f"{what}: {wrong.id} was answered as {said}", op.began)


def _mistold(done: Sequence[Attempt], made_by: AbstractSet[str]) -> Attempt | None:
    """Return a request that was answered as new and another took effect, or the other way round.

    What changes nothing has no event that would tell.
    """
    return next((a for a in done if made_by and a.is_replay == (a.id in made_by)), None)


def _alike(op: Op) -> Iterator[Finding]:
    """Check that all requests get one answer once one of them has got it."""
    done = [one for one in op.attempts if one.outcome is Outcome.ACKED]
    if len({one.content for one in done}) > 1:
        yield Finding(Kind.ALTERED, f"{op.kind} {op.id} has different answers", op.began)
    since = min((one.ended for one in done if one.ended is not None), default=None)
    refused = [one for one in op.attempts if one.outcome is Outcome.REFUSED]
    if late := [one for one in refused if since is not None and one.began > since]:
        what = f"{op.kind} {op.id} was refused with {late[0].status} after it was done"
        yield Finding(Kind.BROKEN, what, op.began)

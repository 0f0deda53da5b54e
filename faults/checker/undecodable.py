"""Record batches that cannot be decoded: each is passed over with a dead letter that says where."""

from collections.abc import Iterator

from faults.checker.findings import Finding, Kind
from faults.checker.index import Index, place_of
from rules import topics

REASON = "undecodable_batch"


def check(index: Index) -> Iterator[Finding]:
    """Look for the dead letter of each damaged place."""
    told = {
        place_of(letter)
        for topic in topics.DEAD_LETTER
        for letter in index.world.kept(topic)
        if letter.header("dlt-reason") == REASON
    }
    for one in index.history.undecodable:
        if (one.topic, one.partition, one.offset) not in told:
            where = f"{one.topic}/{one.partition}/{one.offset}"
            yield Finding(Kind.LOST, f"{where} cannot be decoded, and is no dead letter", one.began)

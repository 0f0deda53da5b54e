"""What is told of changes, and that it is what is remembered of them."""

from collections import defaultdict
from collections.abc import Iterable

from rules.feed import FeedQuery, Position, ToldChange
from store.protocols.feed import FeedProtocol
from tests.support.past import Key, Past, Remembered, as_json


async def told(
    feed: FeedProtocol, owner: str | None = None, after: Position | None = None, limit: int = 100
) -> list[ToldChange]:
    """Give numbers, and read all that has one page by page."""
    while await feed.number():
        pass
    page = await feed.changes(FeedQuery(limit, owner, after))
    found = [*page.changes]
    while page.more:
        assert len(page.changes) == limit
        page = await feed.changes(FeedQuery(limit, owner, page.next))
        found += page.changes
    return found


def remembered(one: ToldChange) -> Remembered:
    """Return a change as the table has it."""
    change = one.change
    return Remembered(
        change.owner_id,
        change.entity,
        change.id,
        change.kind,
        change.by,
        change.correlation_id,
        change.class_id,
        change.version,
        as_json(change.before),
        as_json(change.after),
    )


def _by_entity(changes: Iterable[Remembered]) -> dict[Key, list[Remembered]]:
    found = defaultdict[Key, list[Remembered]](list)
    for change in changes:
        found[change.key].append(change)
    return dict(found)


async def check(past: Past, found: Iterable[ToldChange]) -> None:
    """Check that each change is told once, with numbers that rise, those of an entity in order."""
    listed = [*found]
    numbers = [one.sequence for one in listed]
    assert numbers == [*range(1, len(numbers) + 1)]
    assert _by_entity(map(remembered, listed)) == _by_entity(await past.changes())

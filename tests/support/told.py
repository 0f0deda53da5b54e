"""What is told of changes, and that it is what is remembered of them."""

from collections import defaultdict
from collections.abc import Iterable

from rules.feed import FeedQuery, Position, ToldChange
from store.protocols.feed import FeedProtocol
from tests.support.past import Key, Past, Remembered, as_read


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
    assert _by_entity(as_read(one.change) for one in listed) == _by_entity(await past.changes())

"""A broker that takes, refuses or loses messages as it likes, and remembers their order."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from random import Random
from typing import Final, TypeAlias

from rules.models import OutboxMessage
from store.protocols.outbox import Pack, Refusal

Place: TypeAlias = tuple[str, bytes | None]

TOPICS: Final = ("a.topic", "another.topic")
REFUSED: Final = 0.1
KEYS: Final = (b"1", b"2", b"3", b"19", b"", None)


def place_of(message: OutboxMessage) -> Place:
    # As dead letters messages get into the outbox as they are, but for the topic's suffix.
    return message.topic.removesuffix(".dlt"), message.key


def number_of(message: OutboxMessage) -> int:
    """Return which of its topic and key a message is."""
    return int((message.value or b"").partition(b":")[0])


class Broker:
    """Makes numbered messages, and says at the end whether each key's came in their order."""

    def __init__(self, random: Random) -> None:
        self.random: Final = random
        self.refusing = True
        self._made: Final[Counter[Place]] = Counter()
        self._taken: Final[defaultdict[Place, list[int]]] = defaultdict(list)
        self._dropped: Final[defaultdict[Place, set[int]]] = defaultdict(set)
        #: By their numbers in the outbox.
        self._refused: Final[dict[int, OutboxMessage]] = {}

    def messages(self) -> list[OutboxMessage]:
        """Return the next messages of some keys, now and then some that fill packs."""
        return [self._message() for _ in range(self.random.choice((1, 1, 3, 12)))]

    def _message(self) -> OutboxMessage:
        place = self.random.choice(TOPICS), self.random.choice(KEYS)
        number = self._made[place]
        self._made[place] += 1
        size = self.random.choice((0, 10, 10, 3000, 9000))
        return OutboxMessage(*place, b"%d:" % number + bytes(size), ())

    def take_messages(
        self, messages: Iterable[tuple[int, OutboxMessage, bool]]
    ) -> dict[int, Refusal | None]:
        """Take messages, each with its number and whether it is held; return as `take`."""
        left: dict[int, Refusal | None] = {}
        behind: set[Place] = set()
        for number, message, held in messages:
            place = place_of(message)
            if held or place in behind:
                left[number] = None
            elif self.refusing and self.random.random() < REFUSED:
                left[number] = Refusal.TOO_LARGE
                self._refused[number] = message
                behind |= set() if message.key is None else {place}
            else:
                self._taken[place].append(number_of(message))
        return left

    def drop(self, numbers: Iterable[int]) -> None:
        """Note that a person gives refused messages up."""
        for number in numbers:
            message = self._refused[number]
            self._dropped[place_of(message)].add(number_of(message))

    def take(self, packs: Sequence[Pack]) -> dict[int, Refusal | None]:
        """Take packs in their order; return what was not taken, by number."""
        messages = [
            (pack.id + i, message, i in pack.held)
            for pack in packs
            for i, message in enumerate(pack.messages)
        ]
        return self.take_messages(messages)

    def check(self) -> None:
        """Each key's messages came in their order, each once, but for those given up."""
        for place, made in self._made.items():
            expected = [n for n in range(made) if n not in self._dropped[place]]
            # Without a key nothing waits for what is set aside.
            taken = self._taken[place]
            assert (sorted(taken) if place[1] is None else taken) == expected, place

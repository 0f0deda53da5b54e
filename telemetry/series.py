"""The values of labels that are known ahead: their series exist, at 0, before anything happens.

A counter that appears with its first event hides that event from `rate()` and `increase()`. The
rooms above have these words as enums and constants; a test compares them.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

#: A label's combination of values, in the order of the labels.
Labels = tuple[str, ...]

_SUGGESTION_OUTCOMES: Final = (
    *("stored", "closed", "nothing_new", "duplicate", "parked", "dead_lettered"),
)

#: What may become of an agent's messages.
OUTCOMES: Final[Mapping[str, Sequence[str]]] = {
    "suggestions": _SUGGESTION_OUTCOMES,
    "commands": ("applied", "duplicate", "rejected", "dead_lettered"),
    "timers": ("armed", "cleared", "dead_lettered"),
    "changelog": ("dead_lettered",),
    "parked": _SUGGESTION_OUTCOMES,
    "notifications": ("pushed", "dropped"),
}
#: The agents that read a topic: their dead letters can be replayed.
READERS: Final = ("suggestions", "commands", "timers")
#: The agents whose topic is accounted for without gaps.
ACCOUNTED: Final = ("suggestions", "commands")
#: What reads topics, the changelog of the timers' table included.
READING: Final = (*READERS, "changelog")
#: What retries, beside the loops, which their supervisor adds.
RETRYING: Final = (*READING, "rereading", "relay")
#: Why the broker refuses messages for good.
REFUSALS: Final = ("too_large", "invalid_record")
#: Why open batches are closed without a further decision.
ENDINGS: Final = ("class_deleted", "class_unknown", "nothing_pending")
#: What becomes of the classes of imports: applied, or left out and why.
IMPORT_CLASSES: Final = ("applied", "errors", "moved", "conflict", "full", "failed")
#: Why requests are answered 503.
CAUSES: Final = (
    *("unreachable", "no_answer", "read_only", "starting_or_stopping", "too_many_connections"),
    *("disk_full", "access_denied", "other_schema", "conflict", "busy"),
    *("too_many_clients", "requests", "deadline", "workers", "token_keys", "other"),
)
#: Why a caller's token is refused.
TOKEN_FAULTS: Final = (
    *("missing", "malformed", "algorithm", "unknown_key", "signature", "expired"),
    *("not_yet_valid", "audience", "subject"),
)
#: What comes of reading the JWKS.
FETCHES: Final = ("read", "failed")
#: Why streams do not get real-time messages: no message, none of ours, or a slow reader.
UNSTREAMED: Final = ("unreadable", "unknown", "slow")
#: What becomes of students with an address of the service that older versions left.
SETTLED: Final = ("placeholder", "ordinary")
#: The answers that alarms look for; the others appear with the first of their kind.
ALARMING_STATUSES: Final = (500, 503)


def messages() -> Iterator[Labels]:
    """Return agent and outcome of `messages_total`."""
    return ((agent, outcome) for agent, outcomes in OUTCOMES.items() for outcome in outcomes)


def replays() -> Iterator[Labels]:
    """Return agent and outcome of `replays_total`."""
    return ((agent, outcome) for agent in READERS for outcome in OUTCOMES[agent])


def holes() -> Iterator[Labels]:
    """Return agent and content of `stream_holes_total`."""
    return ((agent, content) for agent in ACCOUNTED for content in ("messages", "nothing"))


def single(values: Sequence[str]) -> Iterator[Labels]:
    """Return the values of a metric's only label."""
    return ((value,) for value in values)

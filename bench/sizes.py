"""How much a run does."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Sizes:
    """Counts and durations; times in seconds."""

    rounds: int
    """How often the sides of most cases are measured in turn."""
    few_rounds: int
    """The same for the cases that take long, ..."""
    long_rounds: int
    """... and for those that take a minute or more each time, or hardly differ."""
    http_seconds: float
    http_warm_seconds: float
    batches: int
    """Batches of match suggestions, produced as fast as Kafka accepts them."""
    timeouts: int
    spread_seconds: float
    """The time over which the deadlines are spread."""
    timeout_seconds: float
    """From a suggestion to its deadline; longer than the spread, so that one follows the other."""
    session_seconds: float
    """Of the consumer groups. The embedded broker lets a join wait for half of it, and a member
    that has left counts until it has passed."""
    events: int
    """Events in the outbox, ..."""
    backlog_rows: int
    """... and events in the outbox of a worker that starts."""
    commands: int
    """Commands that create one student each, produced as fast as Kafka accepts them."""
    rosters: int
    """Commands that register a roster each, ..."""
    roster_students: int
    """... with this many students."""
    import_rows: int
    """Rows of a school's file."""
    lone_messages: int
    """Messages sent one by one."""
    takeover_timers: int
    """Batches of one essay that fall due while workers start and end, ..."""
    takeover_seconds: float
    """... over this time, ..."""
    takeover_lead_seconds: float
    """... after this time for the workers to start, ..."""
    takeover_session_seconds: float
    """... with this session, after which a worker that hangs loses its partitions."""
    handover_seconds: float
    """For how long messages are sent while a worker ends and starts, ..."""
    handover_variants: int
    """... with this many settings, ..."""
    handover_session_seconds: float
    """... and this session, unless they set another."""
    pending_batches: int
    """Batches in the largest of the tables; the others have a tenth and a hundredth of it."""
    due_essays: int
    """Associations of the cases `flood` and `deadlines`, ..."""
    batch_essays: int
    """... in batches of this many."""
    lead_seconds: float
    """From the first one stored to the first deadline, besides a time for each."""
    rest_seconds: float
    """For how long students are read before the flood."""
    deadlines_seconds: float
    """The time over which the deadlines of the case `deadlines` are spread."""
    stored_enrolments: int
    """Enrolments in the database of the case `filled`, ..."""
    stored_associations: int
    """... and associations."""
    mixed_seconds: float
    """The length of the load of the case `mixed`, ..."""
    mixed_timeout_seconds: float
    """... with this time from a suggestion to its deadline."""


FULL: Final = Sizes(
    rounds=3,
    few_rounds=2,
    long_rounds=1,
    http_seconds=2.0,
    http_warm_seconds=0.3,
    batches=300,
    timeouts=1000,
    spread_seconds=15.0,
    timeout_seconds=16.0,
    session_seconds=4.0,
    events=100_000,
    backlog_rows=1_000_000,
    commands=6_000,
    rosters=20,
    roster_students=1_000,
    import_rows=50_000,
    lone_messages=100,
    takeover_timers=25_000,
    takeover_seconds=60.0,
    takeover_lead_seconds=25.0,
    takeover_session_seconds=6.0,  # the service's default
    handover_seconds=60.0,
    handover_variants=1,
    handover_session_seconds=6.0,  # the service's default
    pending_batches=1_000_000,
    due_essays=40_000,
    batch_essays=30,
    lead_seconds=8.0,
    rest_seconds=6.0,
    deadlines_seconds=20.0,
    stored_enrolments=200_000,
    stored_associations=1_000_000,
    mixed_seconds=90.0,
    mixed_timeout_seconds=30.0,
)

#: Only to check that everything works.
QUICK: Final = Sizes(
    rounds=1,
    few_rounds=1,
    long_rounds=1,
    http_seconds=0.2,
    http_warm_seconds=0.1,
    batches=10,
    timeouts=20,
    spread_seconds=1.0,
    timeout_seconds=2.0,
    session_seconds=2.0,
    events=500,
    backlog_rows=1_000,
    commands=40,
    rosters=2,
    roster_students=20,
    import_rows=90,
    lone_messages=5,
    takeover_timers=100,
    takeover_seconds=5.0,
    takeover_lead_seconds=45.0,  # a busy machine starts workers slowly
    takeover_session_seconds=2.0,
    handover_seconds=8.0,
    handover_variants=1,
    handover_session_seconds=2.0,
    pending_batches=2_000,
    due_essays=120,
    batch_essays=30,
    lead_seconds=4.0,
    rest_seconds=0.5,
    deadlines_seconds=1.0,
    stored_enrolments=600,
    stored_associations=3_000,
    mixed_seconds=3.0,
    mixed_timeout_seconds=3.0,
)

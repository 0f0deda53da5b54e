"""The checker finds every breakage, and nothing without one.

Not among the tests of `make test`, since each takes minutes: `make faults ARGS=--prove`.
"""

import json
import subprocess
import sys
from collections import Counter
from typing import Final

import pytest

from devstack.stack import REPOSITORY

RUN_SECONDS: Final = 900
SEED: Final = "4711"

#: The fault that reveals each breakage, and the kinds of finding of which there has to be one.
BREAKAGES: Final = {
    "skips_inbox": ("messages_again", {"doubled"}),
    "publishes_before_commit": ("postgres_reply_cut", {"doubled", "unasked"}),
    "acks_before_commit": ("worker_storm", {"lost"}),
    "locks_no_batch": ("messages_again", {"stuck"}),
    "decides_early": ("messages_again", {"early"}),
    "forgets_timers": ("messages_again", {"stuck"}),
    "deletes_before_ack": ("worker_storm", {"lost"}),
    "forgets_refused": ("messages_refused", {"lost"}),
    "reverses_commands": ("messages_again", {"lost"}),
    "loses_decisions": ("messages_again", {"lost"}),
    "keeps_nobody": ("messages_again", {"altered"}),
    "lacks_codecs": ("messages_codecs", {"lost", "stuck"}),
    "reads_aborted": ("messages_aborted", {"unasked"}),
    "waits_for_damage": ("messages_damaged", {"lost", "stuck"}),
    "buries_no_timers": ("messages_poison_codecs", {"lost"}),
    "sets_nothing_aside": ("messages_refused", {"broken"}),
    "shares_nothing": ("hot_batch", {"broken"}),
    "counts_no_connections": ("connections_idle", {"broken"}),
    "lends_read_only": ("postgres_switchover", {"broken"}),
    "skips_late_changes": ("worker_storm", {"diverged"}),
    "leaves_deleted_open": ("messages_again", {"stuck"}),
    "corrects_silently": ("messages_again", {"lost"}),
    "keeps_keys_late": ("postgres_reply_cut", {"doubled"}),
}

pytestmark = pytest.mark.timeout(RUN_SECONDS + 20)


def found(faults: str, *options: str) -> Counter[str]:
    """Run the service under faults; return how many findings of each kind there are."""
    command = [sys.executable, "-m", "faults", "--seed", SEED, "--workers", "2"]
    # Short, because a broken service may never be well again.
    command += ["--short", "--rate", "100", "--minutes", "0.75", "--pace", "0.3", "--mixed", "0"]
    command += ["--faults", faults, *options]
    done = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=RUN_SECONDS
    )
    assert done.returncode in {0, 1}, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    kinds = Counter(lines[-1]["kinds"])
    print(faults, *options, dict(kinds))
    return kinds


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_the_checker_finds(breakage: str) -> None:
    """A breakage causes one of its kinds of finding."""
    faults, kinds = BREAKAGES[breakage]
    assert kinds & found(faults, "--breakage", breakage).keys()


def test_the_checker_finds_what_an_asynchronous_standby_never_got() -> None:
    """A failover loses what was acknowledged, with a standby that is behind."""
    assert "lost" in found("postgres_failover_late", "--pace", "1")


def test_the_checker_finds_nothing_where_nothing_is_broken() -> None:
    """The same faults on the unbroken service."""
    assert not found("worker_kill,messages_again,postgres_reply_cut")

"""`replay` and `drop`: the choice of letters, the confirmation, and the outcome."""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import click

from agents.dead_letters import actions
from agents.dead_letters.log import DeadLetterLog
from agents.dead_letters.status import statuses
from agents.kafka.topic_log import TopicLogError
from class_management.cli.dlt import report
from class_management.cli.dlt.listing import all_letters, warn_missing
from class_management.cli.dlt.log import reading
from class_management.cli.dlt.status import decision_store
from class_management.cli.runner import EXIT_NO, EXIT_OK, EXIT_TROUBLE, TroubleError, warn
from class_management.kafka import kafka_config
from class_management.settings import Settings
from rules.dead_letters.filters import Filter, in_order
from rules.dead_letters.letters import Address, Letter, original_topic, read_letter
from rules.dead_letters.replays import Decided, LetterDecision, State, state_of
from rules.dead_letters.tally import Left, LetterStatus, Tally, failures, is_too_large
from rules.errors import StoreUnavailableError
from store.protocols.dead_letters import DeadLetterProtocol

_VERBS: Final = {LetterDecision.REPLAYED: "replay", LetterDecision.DROPPED: "drop"}


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments of a command: either letters or a filter."""

    letters: tuple[Address, ...]
    wanted: Filter
    limit: int | None
    again: bool
    dry_run: bool
    yes: bool


@dataclass(frozen=True, slots=True)
class Chosen:
    """The letters to act on; not `complete` if some that were named are left out."""

    statuses: Sequence[LetterStatus]
    complete: bool

    @property
    def letters(self) -> list[Letter]:
        """The letters alone."""
        return [status.letter for status in self.statuses]


async def decide(
    settings: Settings, request: Request, decision: LetterDecision, patience: float | None = None
) -> int:
    """Replay or drop letters; wait up to `patience` seconds for replays. Raises TroubleError."""
    async with decision_store(settings) as store:
        async with reading(kafka_config(settings)) as log:
            chosen = await _choose(log, store, request)
            if not _is_confirmed(chosen, request, decision):
                return _unchanged(chosen)
            async with _report_tally(decision) as tally:
                if decision is LetterDecision.REPLAYED:
                    await actions.replay(log, store, chosen.letters, tally, again=request.again)
                else:
                    await actions.drop(store, chosen.letters, tally, again=request.again)
        failed = EXIT_OK
        if patience is not None and tally.letters:
            failed = await _wait(store, tally, patience)
        return failed or (EXIT_OK if chosen.complete and not tally.left else EXIT_NO)


async def _choose(log: DeadLetterLog, store: DeadLetterProtocol, request: Request) -> Chosen:
    """Find the letters; warn of named ones that are not eligible."""
    if request.letters:
        letters = in_order([read_letter(r) async for r in log.at(request.letters)])
        found = await statuses(letters, store, {})
        missing = set(request.letters) - {letter.address for letter in letters}
        for address in sorted(missing):
            warn_missing(address)
        eligible = [one for one in found if request.again or one.state is State.OPEN]
        left = [one for one in found if not request.again and one.state is not State.OPEN]
        for status in left:
            _warn_left(status.letter, _reason(status))
        return Chosen(eligible[: request.limit], complete=not missing and not left)
    letters = await all_letters(log, request.wanted.searched)
    wanted = [letter for letter in letters if request.wanted.passes(letter)]
    found = await statuses(wanted, store, failures(letters))
    still_open = [status for status in found if status.state is State.OPEN]
    return Chosen(still_open[: request.limit], complete=True)


def _reason(status: LetterStatus) -> str:
    """Return why a letter is not eligible."""
    state = report.state_in_words(status)
    if status.state is State.FAILED:
        return f"{state}; `class-management dlt list` has its new dead letter"
    return f"{state}; --again does it all the same"


def _is_confirmed(chosen: Chosen, request: Request, decision: LetterDecision) -> bool:
    """Return whether to go on: not in a dry run; letters found by a filter need a yes."""
    if not chosen.statuses:
        return False
    verb = _VERBS[decision]
    count = report.counted_letters(len(chosen.statuses))
    if request.dry_run:
        report.table(chosen.statuses)
        click.echo(f"Would {verb} {count}{_targets(chosen, decision)}.")
        return False
    if request.letters or request.yes:
        return True
    report.summary(chosen.statuses)
    if not sys.stdin.isatty():
        raise TroubleError(
            f"nothing was done: nobody can be asked whether to {verb} them; give --yes"
        )
    return click.confirm(f"{verb.capitalize()} {count}?", err=True, abort=True)


def _targets(chosen: Chosen, decision: LetterDecision) -> str:
    """Return the topics of the replays; warn of letters that their topics would refuse."""
    if decision is LetterDecision.DROPPED:
        return ""
    for letter in chosen.letters:
        if is_too_large(letter.size):
            warn(f"{letter.address.short} would be left as it is: it {Left.TOO_LARGE}")
    targets = sorted({original_topic(letter.address.topic) for letter in chosen.letters})
    return f", to {' and '.join(targets)}"


def _unchanged(chosen: Chosen) -> int:
    if not chosen.statuses and chosen.complete:
        click.echo("No dead letters that nobody has decided about.")
    return EXIT_OK if chosen.complete else EXIT_NO


@asynccontextmanager
async def _report_tally(decision: LetterDecision) -> AsyncIterator[Tally]:
    """Print what was done, also after an error."""
    tally = Tally()
    try:
        yield tally
    except (TopicLogError, StoreUnavailableError):
        warn("it broke off: `class-management dlt list` says how far; the same again goes on")
        raise
    finally:
        for letter, why in tally.left.items():
            _warn_left(letter, f"it {why}")
        click.echo(f"{report.counted_letters(len(tally.letters))} {decision}.")


def _warn_left(letter: Letter, why: str) -> None:
    warn(f"{letter.address.short} is left as it is: {why}")


async def _wait(store: DeadLetterProtocol, tally: Tally, patience: float) -> int:
    """Print each replay's outcome."""
    failed = 0

    def print_outcome(letter: Letter, decided: Decided) -> None:
        nonlocal failed
        is_failure = state_of(decided) is State.FAILED
        failed += is_failure
        outcome = f"failed again: {decided.reason}" if is_failure else str(decided.outcome)
        click.echo(f"{letter.address.short:<24}  {outcome}")

    waiting = await actions.outcomes(store, tally.letters, patience, print_outcome)
    if failed:
        warn(f"{failed:,} failed again: `class-management dlt list` has the new dead letters")
    if waiting:
        warn(
            f"{len(waiting):,} not handled yet, nothing was for {patience:g} s: they are on their "
            "way, or wait for a class; `class-management dlt list` says how they stand"
        )
        return EXIT_TROUBLE
    return EXIT_NO if failed else EXIT_OK

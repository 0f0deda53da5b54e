"""`replay` and `drop`: which letters they take, whether that is meant, and what came of it."""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import click

from class_management.cli.dlt import actions, report
from class_management.cli.dlt.actions import Done
from class_management.cli.dlt.errors import TroubleError, warn
from class_management.cli.dlt.filters import Filter, in_order
from class_management.cli.dlt.listing import all_letters
from class_management.cli.dlt.log import DeadLetterLog, reading
from class_management.cli.dlt.status import Standing, decisions, failures, standings
from class_management.container import kafka_config
from class_management.settings import Settings
from rules.dead_letters.letters import Address, Letter, original_topic, read_letter
from rules.dead_letters.replays import Decided, State, state_of
from rules.errors import StoreUnavailableError
from store.protocols.dead_letters import DeadLetterProtocol

EXIT_SOME_NOT: Final = 1
EXIT_TROUBLE: Final = 2


@dataclass(frozen=True, slots=True)
class Request:
    """What a command was given: letters, or else a filter."""

    letters: tuple[Address, ...]
    wanted: Filter
    limit: int | None
    again: bool
    dry_run: bool
    yes: bool


@dataclass(frozen=True, slots=True)
class Chosen:
    """The letters to do something with, and whether others were asked for as well."""

    standings: Sequence[Standing]
    complete: bool

    @property
    def letters(self) -> list[Letter]:
        """The letters alone."""
        return [standing.letter for standing in self.standings]


async def replay(settings: Settings, request: Request, patience: float | None) -> int:
    """Replay letters and wait for `patience` seconds, None for not at all. Raises TroubleError."""
    async with decisions(settings) as store:
        async with reading(kafka_config(settings)) as log:
            chosen = await _choose(log, store, request)
            if not _meant(chosen, request, "replay"):
                return _unchanged(chosen)
            async with _telling("replayed") as done:
                await actions.replay(log, store, chosen.letters, done, again=request.again)
        if patience is None or not done.letters:
            return _exit_code(chosen, done)
        return await _wait(store, done, patience) or _exit_code(chosen, done)


async def drop(settings: Settings, request: Request) -> int:
    """Drop letters. Raises TroubleError."""
    async with decisions(settings) as store:
        async with reading(kafka_config(settings)) as log:
            chosen = await _choose(log, store, request)
        if not _meant(chosen, request, "drop"):
            return _unchanged(chosen)
        async with _telling("dropped") as done:
            await actions.drop(store, chosen.letters, done, again=request.again)
        return _exit_code(chosen, done)


async def _choose(log: DeadLetterLog, store: DeadLetterProtocol, request: Request) -> Chosen:
    """Find the letters; say of those that were named why they are not taken."""
    if request.letters:
        letters = in_order([read_letter(r) async for r in log.at(request.letters)])
        found = await standings(letters, store, {})
        gone = set(request.letters) - {letter.address for letter in letters}
        for address in sorted(gone):
            warn(f"there is no {address.short}: there never was, or its topic has let go of it")
        taken = [one for one in found if request.again or one.state is State.OPEN]
        left = [one for one in found if not request.again and one.state is not State.OPEN]
        for standing in left:
            warn(f"{standing.letter.address.short} is left as it is: {_why_not(standing)}")
        return Chosen(taken[: request.limit], complete=not gone and not left)
    letters = await all_letters(log, request.wanted.searched)
    wanted = [letter for letter in letters if request.wanted.passes(letter)]
    found = await standings(wanted, store, failures(letters))
    still_open = [standing for standing in found if standing.state is State.OPEN]
    return Chosen(still_open[: request.limit], complete=True)


def _why_not(standing: Standing) -> str:
    how = report.state_in_words(standing)
    if standing.state is State.FAILED:
        return f"{how}; `class-management dlt list` has its new dead letter"
    return f"{how}; --again does it all the same"


def _meant(chosen: Chosen, request: Request, what: str) -> bool:
    """Show what would be done where that was asked for, and ask where nobody named the letters."""
    if not chosen.standings:
        return False
    if request.dry_run:
        report.table(chosen.standings)
        for letter in chosen.letters if what == "replay" else ():
            if actions.is_too_large(letter):
                warn(f"{letter.address.short} would be left as it is: it {actions.TOO_LARGE}")
        targets = sorted({original_topic(letter.address.topic) for letter in chosen.letters})
        where = f", to {' and '.join(targets)}" if what == "replay" else ""
        click.echo(f"Would {what} {report.counted(len(chosen.standings))}{where}.")
        return False
    if request.letters or request.yes:
        return True
    report.summary(chosen.standings)
    if not sys.stdin.isatty():
        raise TroubleError(
            f"nothing was done: nobody can be asked whether to {what} them; give --yes"
        )
    question = f"{what.capitalize()} {report.counted(len(chosen.standings))}?"
    return click.confirm(question, err=True, abort=True)


def _unchanged(chosen: Chosen) -> int:
    if not chosen.standings and chosen.complete:
        click.echo("No dead letters that nobody has decided about.")
    return 0 if chosen.complete else EXIT_SOME_NOT


@asynccontextmanager
async def _telling(what: str) -> AsyncIterator[Done]:
    """Say what was done, also where the rest could not be."""
    done = Done()
    try:
        yield done
    except (TroubleError, StoreUnavailableError):
        warn("it broke off: `class-management dlt list` says how far; the same again goes on")
        raise
    finally:
        for letter, why in done.left.items():
            warn(f"{letter.address.short} is left as it is: it {why}")
        click.echo(f"{report.counted(len(done.letters))} {what}.")


def _exit_code(chosen: Chosen, done: Done) -> int:
    return 0 if chosen.complete and not done.left else EXIT_SOME_NOT


async def _wait(store: DeadLetterProtocol, done: Done, patience: float) -> int:
    """Tell of each replay what came of it."""
    failed = 0

    def tell(letter: Letter, decided: Decided) -> None:
        nonlocal failed
        is_failure = state_of(decided) is State.FAILED
        failed += is_failure
        came = f"failed again: {decided.reason}" if is_failure else str(decided.outcome)
        click.echo(f"{letter.address.short:<24}  {came}")

    waiting = await actions.outcomes(store, done.letters, patience, tell)
    if failed:
        warn(f"{failed:,} failed again: `class-management dlt list` has the new dead letters")
    if waiting:
        warn(
            f"{len(waiting):,} not handled yet, nothing was for {patience:g} s: they are on their "
            "way, or wait for a class; `class-management dlt list` says how they stand"
        )
        return EXIT_TROUBLE
    return EXIT_SOME_NOT if failed else 0

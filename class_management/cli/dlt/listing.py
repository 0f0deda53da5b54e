"""`list` and `show`: they change nothing, and still print letters if PostgreSQL is away."""

from collections import Counter
from collections.abc import Mapping, Sequence

import click

from agents.dead_letters.log import DeadLetterLog
from agents.dead_letters.status import statuses
from class_management.cli.dlt import documents, report
from class_management.cli.dlt.log import reading
from class_management.cli.dlt.status import decision_store
from class_management.cli.output import print_json
from class_management.cli.runner import EXIT_NO, EXIT_OK, TroubleError, warn
from class_management.kafka import kafka_config
from class_management.settings import Settings
from rules.dead_letters.filters import Filter, in_order
from rules.dead_letters.letters import Address, Letter, read_letter
from rules.dead_letters.tally import LetterStatus, failures


async def list_letters(
    settings: Settings, wanted: Filter, limit: int, *, everything: bool, as_json: bool
) -> int:
    """Print letters, the newest last. Raises TroubleError."""
    async with reading(kafka_config(settings)) as log:
        letters = await all_letters(log, wanted.searched)
    found = await _statuses(settings, [one for one in letters if wanted.passes(one)], letters)
    shown = [one for one in found if everything or not one.is_settled]
    settled = Counter(str(one.state) for one in found if not everything and one.is_settled)
    newest = shown[-limit:]
    if as_json:
        for status in newest:
            print_json(documents.of_list(status))
        return EXIT_OK
    if newest:
        report.table(newest)
        click.echo("")
    if shown:
        report.summary(shown)
    _print_counts(len(newest), len(shown), settled)
    return EXIT_OK


async def show(settings: Settings, address: Address, *, with_body: bool, as_json: bool) -> int:
    """Print a letter. Raises TroubleError."""
    async with reading(kafka_config(settings)) as log:
        found = [record async for record in log.at([address])]
        if not found:
            warn_missing(address)
            return EXIT_NO
        letters = await all_letters(log, [address.topic])
    [record] = found
    [status] = await _statuses(settings, [read_letter(record)], letters)
    if as_json:
        print_json(documents.of_show(status, record, with_body=with_body))
    else:
        report.letter(status, record, with_body=with_body)
    return EXIT_OK


async def all_letters(log: DeadLetterLog, searched: Sequence[str]) -> list[Letter]:
    """Return the letters of these topics, the newest last. Raises TopicLogError."""
    return in_order([read_letter(record) async for record in log.all(searched)])


def warn_missing(address: Address) -> None:
    """Warn that there is no letter at an address."""
    warn(f"there is no {address.short}: there never was, or its topic has let go of it")


async def _statuses(
    settings: Settings, letters: Sequence[Letter], among: Sequence[Letter]
) -> list[LetterStatus]:
    """Return the letters with their states, which are unknown if PostgreSQL is away."""
    failed = failures(among)
    try:
        async with decision_store(settings) as store:
            return await statuses(letters, store, failed)
    except TroubleError as error:
        warn(f"{error}; what was replayed or dropped is shown as well")
        return await statuses(letters, None, failed)


def _print_counts(shown: int, found: int, settled: Mapping[str, int]) -> None:
    """Print how many letters there are, and how many of them are not shown."""
    total = f"{report.counted_letters(found)}." if found else "No dead letters."
    if shown < found:
        total += f" The newest {shown:,} are shown: --limit"
    click.echo(total)
    if settled:
        counts = ", ".join(f"{count:,} {state}" for state, count in sorted(settled.items()))
        click.echo(f"Not shown: {counts}: --all")

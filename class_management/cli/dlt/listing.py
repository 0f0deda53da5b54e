"""`list` and `show`: they change nothing, and do what they can where PostgreSQL is away."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

import click
import orjson

from class_management.cli.dlt import documents, report
from class_management.cli.dlt.errors import TroubleError, warn
from class_management.cli.dlt.filters import Filter, in_order
from class_management.cli.dlt.log import DeadLetterLog, reading
from class_management.cli.dlt.status import Standing, decisions, failures, standings
from class_management.container import kafka_config
from class_management.settings import Settings
from rules.dead_letters.letters import Address, Letter, read_letter
from rules.models import Record

EXIT_NO: Final = 1


async def list_letters(
    settings: Settings, wanted: Filter, limit: int, *, everything: bool, as_json: bool
) -> int:
    """Print letters, the newest last. Raises TroubleError."""
    async with reading(kafka_config(settings)) as log:
        letters = await all_letters(log, wanted.searched)
    found = await _standings(settings, [one for one in letters if wanted.passes(one)], letters)
    shown = [one for one in found if everything or not one.is_settled]
    settled = Counter(str(one.state) for one in found if not everything and one.is_settled)
    newest = shown[-limit:]
    if as_json:
        for standing in newest:
            click.echo(orjson.dumps(documents.of_list(standing)))
        return 0
    if newest:
        report.table(newest)
        click.echo("")
    if shown:
        report.summary(shown)
    _tell_counts(len(newest), len(shown), settled)
    return 0


async def show(settings: Settings, address: Address, *, with_body: bool, as_json: bool) -> int:
    """Print a letter. Raises TroubleError."""
    async with reading(kafka_config(settings)) as log:
        record = await _record(log, address)
        if record is None:
            warn(f"there is no {address.short}: there never was, or its topic has let go of it")
            return EXIT_NO
        letters = await all_letters(log, [address.topic])
    [standing] = await _standings(settings, [read_letter(record)], letters)
    if as_json:
        click.echo(orjson.dumps(documents.of_show(standing, record, with_body=with_body)))
    else:
        report.letter(standing, record, with_body=with_body)
    return 0


async def all_letters(log: DeadLetterLog, searched: Sequence[str]) -> list[Letter]:
    """Return the letters of these topics, the newest last. Raises TroubleError."""
    return in_order([read_letter(record) async for record in log.all(searched)])


async def _record(log: DeadLetterLog, address: Address) -> Record | None:
    found = [record async for record in log.at([address])]
    return found[0] if found else None


async def _standings(
    settings: Settings, letters: Sequence[Letter], among: Sequence[Letter]
) -> list[Standing]:
    """Return how letters stand, as far as PostgreSQL says."""
    failed: Mapping[UUID, Address] = failures(among)
    try:
        async with decisions(settings) as store:
            return await standings(letters, store, failed)
    except TroubleError as error:
        warn(f"{error}; what was replayed or dropped is shown as well")
        return await standings(letters, None, failed)


def _tell_counts(shown: int, found: int, settled: Mapping[str, int]) -> None:
    """Say how many letters there are beside those that were shown."""
    told = f"{report.counted(found)}." if found else "No dead letters."
    if shown < found:
        told += f" The newest {shown:,} are shown: --limit"
    click.echo(told)
    if settled:
        counts = ", ".join(f"{count:,} {state}" for state, count in sorted(settled.items()))
        click.echo(f"Not shown: {counts}: --all")

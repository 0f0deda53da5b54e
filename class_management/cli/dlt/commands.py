"""The commands of `class-management dlt`."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from class_management.cli.options import all_of, connect_option, json_option, wait_options
from class_management.cli.runner import run

if TYPE_CHECKING:
    from class_management.cli.dlt.decisions import Request
    from rules.dead_letters.filters import Filter
    from rules.dead_letters.letters import Address

DEFAULT_LISTED: Final = 100

#: The options that select letters.
_filter_options = all_of(
    click.option(
        "--topic",
        multiple=True,
        metavar="NAME",
        help="Of suggestions, commands or timers. May be repeated.",
    ),
    click.option(
        "--reason", multiple=True, metavar="REASON", help="With this reason. May be repeated."
    ),
    click.option("--since", metavar="WHEN", help="That became dead letters at WHEN or later."),
    click.option("--until", metavar="WHEN", help="That became dead letters before WHEN."),
    click.option("--key", help="With exactly this key."),
)
#: What `replay` and `drop` share.
_decision_options = all_of(
    click.argument("letters", nargs=-1, metavar="[LETTER]..."),
    _filter_options,
    click.option(
        "--limit", type=click.IntRange(min=1), help="So many at the most, the oldest first."
    ),
    click.option("--again", is_flag=True, help="Also LETTERs that were decided about before."),
    click.option("--dry-run", is_flag=True, help="Only say what would be done."),
    click.option("-y", "--yes", is_flag=True, help="Do not ask."),
    connect_option,
)


@click.group()
def dlt() -> None:
    """Look at dead letters: messages that could not be processed.

    A LETTER is named as `list` names it: suggestions/3/42 is what lies at offset
    42 of partition 3 of the suggestions' dead letters. WHEN is an instant
    (2026-11-22T12:00:00Z; UTC without an offset) or how long ago (30m, 2h, 7d).

    Looking needs the KAFKA_ settings, deciding DATABASE_URL as well. Nothing is
    ever taken out of a topic: what was decided is kept in PostgreSQL.
    """


@dlt.command("list", short_help="List dead letters, the newest last.")
@_filter_options
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=DEFAULT_LISTED,
    show_default=True,
    help="So many at the most, the newest.",
)
@click.option("--all", "everything", is_flag=True, help="Also those that are settled.")
@json_option("Print a JSON object a line.")
@connect_option
def list_letters(*, limit: int, everything: bool, as_json: bool, **chosen: Any) -> None:  # noqa: ANN401
    """List dead letters, the newest last.

    Left out, unless with --all, is what is settled: dropped, or replayed and
    handled. Of a replay that failed again its new dead letter is shown.

    Exit codes: 0, also where PostgreSQL is away (standard error says so); 2 for
    trouble.
    """
    from class_management.cli.dlt import listing

    wanted = _filter(chosen)
    run(
        lambda settings: listing.list_letters(
            settings, wanted, limit, everything=everything, as_json=as_json
        )
    )


@dlt.command()
@click.argument("letter")
@click.option("--body", is_flag=True, help="With the message itself: it may hold personal data.")
@json_option("Print a JSON object.")
@connect_option
def show(letter: str, *, body: bool, as_json: bool) -> None:
    """Show everything of a LETTER, and what can be done about it.

    Exit codes: 0; 1 where no such letter is there (any more); 2 for trouble.
    """
    from class_management.cli.dlt import listing

    address = _address(letter)
    run(lambda settings: listing.show(settings, address, with_body=body, as_json=as_json))


@dlt.command(short_help="Have dead letters handled anew.")
@_decision_options
@wait_options(
    no_wait="Do not wait for what comes of it.",
    timeout="Seconds to wait for the next one to be handled.",
)
def replay(
    letters: tuple[str, ...],
    *,
    no_wait: bool,
    patience: float,
    **options: Any,  # noqa: ANN401
) -> None:
    """Send dead letters to their topics again, as they were, and wait for what comes of it.

    Either LETTERs, or by filters all that nobody has decided about; --yes does
    not ask. The service sends them through its outbox, in the transaction that
    keeps the decision: a letter is never sent twice by this, also where the
    command breaks off or two people give it. What fails again becomes another
    dead letter.

    Exit codes: 0 all were handled; 1 some failed again, or could not be replayed;
    2 trouble, or some have not been handled in time (they will be).
    """
    from class_management.cli.dlt.decisions import decide
    from rules.dead_letters.replays import LetterDecision

    request = _request(letters, options)
    waits = None if no_wait else patience
    run(lambda settings: decide(settings, request, LetterDecision.REPLAYED, waits))


@dlt.command(short_help="Keep that nobody will replay dead letters.")
@_decision_options
def drop(letters: tuple[str, ...], **options: Any) -> None:  # noqa: ANN401
    """Keep that nobody will replay dead letters: `list` leaves them out.

    Either LETTERs, or by filters all that nobody has decided about; --yes does
    not ask. The topics keep them for as long as they do; `replay --again` is
    possible until then.

    Exit codes: 0 all were dropped; 1 some could not be; 2 trouble.
    """
    from class_management.cli.dlt.decisions import decide
    from rules.dead_letters.replays import LetterDecision

    request = _request(letters, options)
    run(lambda settings: decide(settings, request, LetterDecision.DROPPED))


def _request(letters: tuple[str, ...], options: dict[str, Any]) -> "Request":
    from class_management.cli.dlt.decisions import Request

    own = {name: options.pop(name) for name in ("limit", "again", "dry_run", "yes")}
    wanted = _filter(options)
    if letters and not wanted.is_empty:
        raise click.UsageError("Give either LETTERs or filters.")
    if not letters and wanted.is_empty:
        raise click.UsageError("Give LETTERs, or filters such as --reason.")
    if own["again"] and not letters:
        raise click.UsageError("--again needs LETTERs.")
    return Request(tuple(dict.fromkeys(map(_address, letters))), wanted, **own)


def _address(text: str) -> "Address":
    """Read the name of a letter, or end with an error that shows its form."""
    from rules.dead_letters.letters import Address

    try:
        return Address.parse(text)
    except ValueError as error:
        raise click.BadParameter(f"{text}: {error}", param_hint="LETTER") from None


def _filter(chosen: dict[str, Any]) -> "Filter":
    """Read the filter options, or end with an error that says what one of them must be."""
    from rules.dead_letters.filters import Filter, instant, topic_named
    from rules.dead_letters.messages import Reason

    now = datetime.now(UTC)

    def read(option: str, parse: Callable[[str], Any], value: str) -> Any:  # noqa: ANN401
        try:
            return parse(value)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint=f"--{option}") from None

    def reason(text: str) -> str:
        if text not in tuple(Reason):
            raise ValueError(f"must be one of {', '.join(Reason)}")
        return text

    def when(option: str) -> datetime | None:
        text = chosen[option]
        if text is None:
            return None
        found: datetime = read(option, lambda given: instant(given, now), text)
        return found

    return Filter(
        topics=frozenset(read("topic", topic_named, one) for one in chosen["topic"]),
        reasons=frozenset(read("reason", reason, one) for one in chosen["reason"]),
        since=when("since"),
        until=when("until"),
        key=chosen["key"],
    )

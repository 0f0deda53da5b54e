"""Dead letters as JSON, with only the event id of the message unless more is asked for."""

import base64
from datetime import datetime

import orjson

from class_management.cli.output import Json
from rules.dead_letters.reasons import explanation
from rules.dead_letters.tally import LetterStatus
from rules.models import Record


def of_list(status: LetterStatus) -> Json:
    """Return a letter as `list` shows it."""
    letter, decided = status.letter, status.decided
    origin = letter.origin
    return {
        "letter": letter.address.short,
        "topic": letter.address.topic,
        "partition": letter.address.partition,
        "offset": letter.address.offset,
        "at": _instant(letter.at),
        "reason": letter.reason,
        "exception": letter.exception,
        "from": origin
        and {"topic": origin.topic, "partition": origin.partition, "offset": origin.offset},
        "size": letter.size,
        "event_id": letter.event_id and str(letter.event_id),
        "replay_of": letter.replayed_from and letter.replayed_from.short,
        "state": status.state,
        "decided_at": decided and _instant(decided.at),
        "outcome": decided and decided.outcome,
        "outcome_reason": decided and decided.reason,
        "outcome_at": decided and decided.outcome_at and _instant(decided.outcome_at),
        "failed_again_as": status.again_as and status.again_as.short,
    }


def of_show(status: LetterStatus, record: Record, *, with_body: bool) -> Json:
    """Return a letter as `show` shows it."""
    explained = explanation(status.letter.reason)
    shown = {
        **of_list(status),
        "meaning": explained.meaning,
        "remedy": explained.remedy,
        "key": None if record.key is None else _text(record.key),
        "headers": [[name, _text(value)] for name, value in record.headers],
    }
    return {**shown, **_body(record.value)} if with_body else shown


def _body(value: bytes | None) -> Json:
    """Return a body as JSON if it is JSON, else its bytes in base64."""
    try:
        return {"body": orjson.loads(value or b"")}
    except orjson.JSONDecodeError:
        raw = None if value is None else base64.b64encode(value).decode()
        return {"body": None, "body_base64": raw}


def _text(raw: bytes) -> str:
    """Return bytes as text, with invalid UTF-8 escaped."""
    return raw.decode(errors="backslashreplace")


def _instant(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")

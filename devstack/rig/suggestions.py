"""Messages of the matching service, as it writes them."""

import copy
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import orjson

from devstack.rig.envelopes import SUGGESTIONS, match_result, matches_suggested, suggestion
from devstack.rig.http import MARK

SAMPLES: Final = Path(__file__).parent / "samples" / "matches_suggested.jsonl"
TOPIC: Final = SUGGESTIONS

_UUID: Final = re.compile(rb"11111111-1111-4111-8111-[0-9a-f]{12}")

Json = dict[str, Any]


@dataclass(frozen=True)
class Suggested:
    """A message of suggestions, with its ids."""

    envelope: Json

    @property
    def value(self) -> bytes:
        """The message as Kafka carries it."""
        return orjson.dumps(self.envelope)

    @property
    def event_id(self) -> str:
        """The message's event id."""
        return str(self.envelope["event_id"])

    @property
    def correlation_id(self) -> str:
        """The correlation id, which every event that it causes carries."""
        return str(self.envelope["correlation_id"])

    @property
    def batch_id(self) -> str:
        """The batch, which is also the message's key."""
        return str(self.envelope["data"]["batch_id"])

    @property
    def essay_ids(self) -> list[str]:
        """The essays, in the message's order."""
        return [result["essay_id"] for result in self.envelope["data"]["match_results"]]

    def as_new(self) -> "Suggested":
        """Return the same content as a new event."""
        return Suggested({**copy.deepcopy(self.envelope), "event_id": str(uuid4())})


#: The students proposed for an essay with their confidence, best first.
Proposals = Sequence[tuple[str, float]]


def suggest(class_id: str, *essays: Proposals, batch_id: str | None = None) -> Suggested:
    """Build a message with one essay for each of the proposals."""
    results = [_match_result(proposals) for proposals in essays]
    return Suggested(matches_suggested(batch_id or str(uuid4()), class_id, results))


def _match_result(proposals: Proposals) -> Json:
    name, email = f"Förnamn{MARK} Efternamn{MARK}", f"{MARK}@skola.example"
    return match_result(
        [suggestion(*proposal, name=name, email=email) for proposal in proposals],
        text_id=uuid4(),
        filename=f"{MARK}.docx",
        no_match_reason=None if proposals else "No matches found",
    )


def sample(line: int, known: Mapping[str, str]) -> Suggested:
    """Return a line of the samples with its ids replaced: by `known` ones, else by new ones.

    `known` goes by the last digits of an id in the samples.
    """
    new: defaultdict[bytes, bytes] = defaultdict(lambda: str(uuid4()).encode())

    def replacement(found: re.Match[bytes]) -> bytes:
        digits = found[0].decode().rpartition("-")[2].lstrip("0")
        return known[digits].encode() if digits in known else new[found[0]]

    text = SAMPLES.read_bytes().splitlines()[line - 1]
    return Suggested(orjson.loads(_UUID.sub(replacement, text)))


def is_uuid(text: object) -> bool:
    """Return whether a text is a UUID in canonical form."""
    try:
        return isinstance(text, str) and str(UUID(text)) == text
    except ValueError:
        return False

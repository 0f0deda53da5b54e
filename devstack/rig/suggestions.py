"""Messages of the matching service, as it writes them."""

import copy
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import orjson

from devstack.rig.http import MARK

SAMPLES: Final = Path(__file__).parent / "samples" / "matches_suggested.jsonl"
TOPIC: Final = "huleedu.batch.author.matches.suggested.v1"

_UUID: Final = re.compile(rb"11111111-1111-4111-8111-[0-9a-f]{12}")

Json = dict[str, Any]


@dataclass(frozen=True)
class Suggested:
    """A message of suggestions and what it is about."""

    envelope: Json

    @property
    def value(self) -> bytes:
        return orjson.dumps(self.envelope)

    @property
    def event_id(self) -> str:
        return str(self.envelope["event_id"])

    @property
    def correlation_id(self) -> str:
        return str(self.envelope["correlation_id"])

    @property
    def batch_id(self) -> str:
        return str(self.envelope["data"]["batch_id"])

    @property
    def essay_ids(self) -> list[str]:
        return [result["essay_id"] for result in self.envelope["data"]["match_results"]]

    def as_new(self) -> "Suggested":
        """Return the same content as an event of its own."""
        return Suggested({**copy.deepcopy(self.envelope), "event_id": str(uuid4())})


#: The students proposed for an essay with their confidence, best first.
Proposals = Sequence[tuple[str, float]]


def suggest(class_id: str, *essays: Proposals, batch_id: str | None = None) -> Suggested:
    """Build a message with one essay for each of the proposals."""
    batch = batch_id or str(uuid4())
    now = datetime.now(UTC).isoformat()
    data = {
        "event_name": "batch.author.matches.suggested",
        "entity_id": batch,
        "entity_type": "batch",
        "parent_id": None,
        "timestamp": now,
        "correlation_id": None,
        "batch_id": batch,
        "class_id": class_id,
        "course_code": "SV1",
        "match_results": [_match_result(proposals) for proposals in essays],
        "processing_summary": {"total_essays": len(essays)},
        "processing_metadata": {},
    }
    return Suggested(
        {
            "event_id": str(uuid4()),
            "event_type": TOPIC,
            "event_timestamp": now,
            "source_service": "nlp_service",
            "schema_version": 1,
            "correlation_id": str(uuid4()),
            "data_schema_uri": None,
            "data": data,
            "metadata": None,
        }
    )


def _match_result(proposals: Proposals) -> Json:
    return {
        "essay_id": str(uuid4()),
        "text_storage_id": f"text-storage-{uuid4()}",
        "filename": f"{MARK}.docx",
        "suggestions": [_suggestion(*proposal) for proposal in proposals],
        "no_match_reason": None if proposals else "No matches found",
        "extraction_metadata": {},
    }


def _suggestion(student_id: str, confidence: float) -> Json:
    return {
        "student_id": student_id,
        "student_name": f"Förnamn{MARK} Efternamn{MARK}",
        "student_email": f"{MARK}@skola.example",
        "confidence_score": confidence,
        "match_reasons": ["name_fuzzy"],
        "extraction_metadata": {},
    }


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
    """Tell whether a text is a UUID in canonical form."""
    try:
        return isinstance(text, str) and str(UUID(text)) == text
    except ValueError:
        return False

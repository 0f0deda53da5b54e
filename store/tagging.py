"""The JSON and the tags of what may be large, made while others run in between."""

from collections.abc import Iterable
from typing import Final

import orjson

from rules import tags
from rules.documents import association_json, whole_batch_json
from rules.events.envelopes import to_json
from rules.models import AssociationView, BatchView
from store.pace import Pace

_PIECE_BYTES: Final = 65_536


async def written(values: Iterable[object]) -> list[orjson.Fragment]:
    """Return each as JSON: there may be thousands."""
    pace, pieces = Pace(), []
    for value in values:
        pieces.append(orjson.Fragment(to_json(value)))
        await pace.keep()
    return pieces


async def written_associations(views: Iterable[AssociationView]) -> list[orjson.Fragment]:
    """Return the JSON of each association."""
    return await written(map(association_json, views))


async def tag_of(body: bytes) -> str:
    """Return the tag of an answer's JSON, as rules.tags does."""
    if len(body) <= _PIECE_BYTES:
        return tags.tag_of(body)
    tagger, pace = tags.Tagger(), Pace()
    for start in range(0, len(body), _PIECE_BYTES):
        tagger.take(body[start : start + _PIECE_BYTES])
        await pace.keep()
    return tagger.tag


async def batch_tag(batch: BatchView) -> str:
    """Return the tag of a batch's whole list of associations, as rules.tags does."""
    associations = await written_associations(batch.associations)
    return await tag_of(to_json(whole_batch_json(batch, associations)))

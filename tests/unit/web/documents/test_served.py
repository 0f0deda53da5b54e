"""Documents are made once, in both of their forms, beside what else is going on."""

import asyncio
import gzip
import json
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from web.documents.served import ServedDocument

CONTENT: Mapping[str, Any] = {"title": "Å class", "paths": {f"/{n}": {} for n in range(500)}}


class Maker:
    """Makes a document, and remembers in which threads it did."""

    def __init__(self) -> None:
        self.threads: list[int] = []

    def __call__(self) -> Mapping[str, Any]:
        self.threads.append(threading.get_ident())
        return CONTENT


async def test_both_forms_are_the_document_and_no_two_processes_differ_in_them() -> None:
    forms = await ServedDocument(Maker()).forms()
    assert json.loads(forms.plain) == CONTENT
    assert gzip.decompress(forms.packed) == forms.plain
    assert len(forms.packed) < len(forms.plain)
    assert forms.packed[4:8] == bytes(4), "the time at which it was made"
    assert await ServedDocument(Maker()).forms() == forms


async def test_it_is_made_once_and_not_on_the_loop() -> None:
    make = Maker()
    document = ServedDocument(make)
    asked = await asyncio.gather(*(document.forms() for _ in range(20)))
    asked.append(await document.forms())
    assert len(make.threads) == 1
    assert make.threads != [threading.get_ident()]
    assert all(forms is asked[0] for forms in asked)


async def test_what_is_made_is_there_at_once() -> None:
    document = ServedDocument(Maker())
    made = await document.forms()
    with pytest.raises(StopIteration) as at_once:
        document.forms().send(None)
    assert at_once.value.value is made

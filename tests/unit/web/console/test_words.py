"""What a page's script listens to is what the stream has."""

import re

from rules.events.schemas.catalogue import PUSHES
from web.console.rendering import TEMPLATES


def test_a_page_hears_of_every_kind_of_message() -> None:
    base = (TEMPLATES / "base.html").read_text(encoding="utf-8")
    assert set(re.findall('data-event="([^"]*)"', base)) == PUSHES.keys()

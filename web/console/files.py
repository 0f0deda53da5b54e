"""The files that the console's pages load."""

from pathlib import Path
from typing import Final

from web.page_files import page_files

FILES: Final = page_files(
    Path(__file__).with_name("static"),
    "/console/static",
    (
        "batch.js",
        "console.css",
        "console.js",
        "htmx.js",
        "imports.js",
        "letters.js",
        "live.js",
        "operations.js",
        "roster.js",
    ),
)

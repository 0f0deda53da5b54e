"""The pages of /docs: a bar with links between them, and a viewer.

No page may load anything from another host, nor run a script that does not lie in a file of this
service: the browser refuses it (Content-Security-Policy).
"""

from dataclasses import dataclass
from html import escape
from typing import Final

from web.page_files import DOCS

HTTP: Final = "/docs"
EVENTS: Final = "/docs/events"
TRY: Final = "/docs/try"

_LINKS: Final = (
    (HTTP, "HTTP"),
    (EVENTS, "Events"),
    (TRY, "Try it"),
    ("/openapi.json", "openapi.json"),
    ("/asyncapi.json", "asyncapi.json"),
)


@dataclass(frozen=True, slots=True)
class Page:
    """A page: `body` is what is below the bar, `styled` whether its viewer writes styles."""

    path: str
    title: str
    description: str
    head: str
    body: str
    styled: bool

    def policy(self, nonce: str) -> str:
        """Return what the browser may load; the styles that the viewer writes have the nonce."""
        styles = f" 'nonce-{nonce}'" if self.styled else ""
        return "; ".join(
            (
                "default-src 'none'",
                "script-src 'self'",
                f"style-src 'self'{styles}",
                "connect-src 'self'",
                "img-src 'self' data:",
                "font-src data:",
                "base-uri 'none'",
                "form-action 'none'",
                "frame-ancestors 'none'",
            )
        )

    def html(self, version: str, nonce: str) -> str:
        """Return the page of a service of that version."""
        shown = escape(version)
        meta = f'\n<meta property="csp-nonce" content="{nonce}">' if self.styled else ""
        return _HTML.format(
            title=f"{self.title} - Class Management Service {shown}",
            description=self.description,
            css=DOCS["page.css"].url,
            head=f"{meta}\n{self.head}",
            links="\n".join(map(self._link, _LINKS)),
            version=shown,
            body=self.body,
        )

    def _link(self, link: tuple[str, str]) -> str:
        path, text = link
        current = ' aria-current="page"' if path == self.path else ""
        return f'<a href="{path}"{current}>{text}</a>'


_HTML: Final = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="{description}">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{css}">{head}
</head>
<body>
<nav class="bar" aria-label="Documents">
<a class="skip" href="#viewer">Skip to the document</a>
<strong>Class Management Service {version}</strong>
{links}
</nav>
<main id="viewer" tabindex="-1">
{body}
</main>
<noscript><p class="without">The viewer is a script. The documents themselves are
<a href="/openapi.json">/openapi.json</a> and
<a href="/asyncapi.json">/asyncapi.json</a>.</p></noscript>
</body>
</html>
"""


def _reference(path: str, title: str, description: str, document: str) -> Page:
    """Return a page that shows a document by Redoc, which must not tell its makers of its use."""
    body = f'<redoc spec-url="{document}" disable-telemetry="true"></redoc>'
    head = f'<script type="module" src="{DOCS["redoc.js"].url}"></script>'
    return Page(path, title, description, head, body, styled=True)


def _try_out() -> Page:
    head = f"""\
<link rel="stylesheet" href="{DOCS["swagger-ui.css"].url}">
<script defer src="{DOCS["swagger-ui.js"].url}"></script>
<script defer src="{DOCS["try.js"].url}"></script>"""
    description = "Send requests to this service from the browser."
    body = '<div id="swagger" class="light"></div>'
    return Page(TRY, "Try it", description, head, body, styled=False)


PAGES: Final = (
    _reference(
        HTTP, "HTTP", "The HTTP API: every path, what it takes and answers.", "/openapi.json"
    ),
    _reference(EVENTS, "Events", "What is on Kafka and Redis.", "/asyncapi.json"),
    _try_out(),
)

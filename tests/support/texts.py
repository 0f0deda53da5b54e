"""The texts of the console for people, as its templates and modules have them."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from jinja2 import Environment, nodes

import web.console

FOLDER: Final = Path(str(web.console.__file__)).parent

#: A text, or one for one thing and one for many.
Text: TypeAlias = str | tuple[str, str]

#: How what speaks is called, in modules and in templates (web.console.languages.Speech).
_SPEAKERS: Final = frozenset({"ui", "speech"})
_MARKS: Final = frozenset({"_", "gettext", "N_"})


def texts() -> set[Text]:
    """Return all texts."""
    found = {text for path in sorted(FOLDER.rglob("*.py")) for text in _of_module(path)}
    return found | {text for path in sorted(FOLDER.rglob("*.html")) for text in _of_template(path)}


def _of_module(path: Path) -> Iterator[Text]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and (kind := _kind(node.func)) is not None:
            given = [one.value if isinstance(one, ast.Constant) else None for one in node.args]
            yield from _text(kind, given)


def _kind(function: ast.expr) -> str | None:
    if isinstance(function, ast.Name):
        return "text" if function.id in _MARKS else None
    if not isinstance(function, ast.Attribute) or function.attr not in {"text", "plural"}:
        return None
    of = function.value
    name = of.func if isinstance(of, ast.Call) else of
    is_speaker = isinstance(name, ast.Name) and name.id in {*_SPEAKERS, "speech_of"}
    return function.attr if is_speaker else None


def _of_template(path: Path) -> Iterator[Text]:
    environment = Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
    tree = environment.parse(path.read_text(encoding="utf-8"))
    for node in tree.find_all(nodes.Call):
        called, kind = node.node, None
        if isinstance(called, nodes.Name) and called.name in _MARKS:
            kind = "text"
        elif isinstance(called, nodes.Getattr) and isinstance(called.node, nodes.Name):
            is_speaker = called.node.name in _SPEAKERS and called.attr in {"text", "plural"}
            kind = called.attr if is_speaker else None
        if kind is not None:
            given = [one.value if isinstance(one, nodes.Const) else None for one in node.args]
            yield from _text(kind, given)


def _text(kind: str, given: Sequence[object]) -> Iterator[Text]:
    """Yield what is written in the call; what is a variable there is marked where it is written."""
    one, *others = given or [None]
    if kind == "text" and isinstance(one, str):
        yield one
    elif kind == "plural" and isinstance(one, str) and others and isinstance(others[0], str):
        yield one, others[0]

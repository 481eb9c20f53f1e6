"""The page as text: template, style and script of `page/`, and data that no reader can take for markup.

A policy in the page lets the browser run this one script, use this one style and load pictures from where they are;
nothing else is run or loaded, whatever stands in a prompt.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from itertools import accumulate
from typing import Any

from aigiqa_cli import __version__

# In the order in which they use one another; together they are one script.
SCRIPTS = (
    *("elements", "table", "state", "choosing", "pictures", "rows"),
    *("grid", "prompts", "detail", "ranges", "filters", "keyboard", "help", "gallery"),
)
PLACE = re.compile(r"<!-- (\w+) -->")
# Inside <script>, HTML knows `</script`, `<script` and `<!--`; the rest is for readers of other kinds.
_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def parts(title: str, *, embedded: bool) -> Iterator[tuple[str, str]]:
    """The template in pieces: ("", text to be written) and (name, "") for each place that data go to."""
    style, script = _style(), _script()
    known = {
        "policy": _policy(style, script, embedded=embedded),
        "title": html.escape(title),
        "version": html.escape(__version__),
        "style": style,
        "script": script,
    }
    for number, piece in enumerate(PLACE.split(_text("page.html"))):
        if number % 2 == 0:
            yield "", piece
        elif piece in known:
            yield "", known[piece]
        else:
            yield piece, ""


def data_block(identifier: str, value: Any) -> str:
    """An element that holds `value` as JSON and is not run."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).translate(_ESCAPES)
    return f'<script type="application/json" id="{identifier}">{text}</script>\n'


def copies_block(identifier: str, copies: Sequence[str]) -> str:
    """An element that holds base64, one after the other, and where each ends: one is found without reading the rest."""
    ends = ",".join(map(str, accumulate(map(len, copies))))
    return f'<script type="text/plain" id="{identifier}" data-ends="{ends}">{"".join(copies)}</script>\n'


def _policy(style: str, script: str, *, embedded: bool) -> str:
    rules: Mapping[str, str] = {
        "default-src": "'none'",
        "script-src": _hash(script),
        "style-src": _hash(style),
        # A page that is opened as a file has no origin: `file:` is what 'self' is for one from a server.
        "img-src": "data:" if embedded else "'self' file:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _style() -> str:
    return "\n" + _text("gallery.css")


def _script() -> str:
    return "\n(() => {\n" + "\n".join(_text(f"{name}.js") for name in SCRIPTS) + "})();\n"


def _text(name: str) -> str:
    return (files("aigiqa_cli.gallery") / "page" / name).read_text(encoding="utf-8")

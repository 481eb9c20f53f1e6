"""A citation as BibTeX."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Citation

_ESCAPES = {"&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_", "$": r"\$"}


def entry(citation: Citation) -> str:
    """One BibTeX entry with a line per known field."""
    fields = {
        "title": "{" + _escape(citation.title) + "}",
        "author": _escape(" and ".join(citation.authors)),
        "year": str(citation.year),
        "journal": _escape(citation.journal),
        "booktitle": _escape(citation.booktitle),
        "volume": citation.volume,
        "number": citation.number,
        "pages": citation.pages.replace("-", "--") if "--" not in citation.pages else citation.pages,
        "doi": citation.doi,
        "eprint": citation.arxiv,
        "archiveprefix": "arXiv" if citation.arxiv else "",
        "url": citation.url,
        "note": _escape(citation.note),
    }
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return f"@{citation.type}{{{citation.key},\n" + "\n".join(lines) + "\n}\n"


def _escape(text: str) -> str:
    return "".join(_ESCAPES.get(character, character) for character in text)

"""What Python users import: `from aigiqa_cli import load, open_database, catalogue`.

Everything reads what is installed and writes nothing; `aigiqa fetch` on the command line is what installs. Faults are
those of the command line: exceptions of `aigiqa_cli.errors`, whose note is the next thing to do.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aigiqa_cli import selecting
from aigiqa_cli.api.database import Database, Picture
from aigiqa_cli.api.frames import frame
from aigiqa_cli.context import Context
from aigiqa_cli.exports.columns import choose
from aigiqa_cli.manifest.catalogue import Catalogue
from aigiqa_cli.reporting import Silent
from aigiqa_cli.store.root import find_root

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Database", "Picture", "catalogue", "load", "open_database"]


def load(
    *databases: str, where: str = "", split: str = "", columns: Sequence[str] = (), root: str | Path = ""
) -> pd.DataFrame:
    """The index as a table: one row an image, in the order of the index.

    `databases`: ids or aliases; none means everything installed. `where`: an SQL condition over the columns, as of
    `aigiqa export --where`. `split`: NAME, NAME:PART or a split file; fills the column `split` and keeps its images.
    `columns`: only these, in this order. `root`: else AIGIQA_ROOT, else the user's data folder.

    Scores are float64 (NaN where there is none), `row`, `width`, `height` and `bytes` are Int64, `extra` holds dicts,
    the rest is text. Raises UsageFault for what is not installed or not called so, IntegrityFault for damage.
    """
    context = _context(root)
    records = selecting.chosen(context.root, [selecting.name_meant(context, word) for word in databases])
    chosen = choose(columns)
    return frame(selecting.rows(context.root, records, where=where, split=split), chosen)


def open_database(name: str, *, root: str | Path = "") -> Database:
    """An installed database by id or alias.

    Raises UsageFault if it is not installed or not known, IntegrityFault if it is damaged.
    """
    context = _context(root)
    return Database.opened(context, selecting.name_meant(context, name))


def catalogue(*, root: str | Path = "") -> pd.DataFrame:
    """Every known database, one a row by id: title, images, generators, dimensions, bytes, licence, mirrors that need
    no person, state here (`absent`, `labels`, `installed`, ...); `images` is a number, or text for a range of them."""
    import pandas as pd

    from aigiqa_cli.steps.catalogue_listing import listing

    listed = list(listing(_context(root)))
    table = {
        "id": [one.id for one in listed],
        "title": [one.title for one in listed],
        "images": [one.images[1] for one in listed],
        "generators": [one.generators for one in listed],
        "dimensions": [list(one.dimensions) for one in listed],
        "bytes": pd.array([one.bytes or one.approximate_bytes for one in listed], dtype="Int64"),
        "license": [one.license for one in listed],
        "mirrors": [list(one.mirrors) for one in listed],
        "state": [one.state or "absent" for one in listed],
        "problem": [one.fault for one in listed],
    }
    return pd.DataFrame(table).set_index("id")


def _context(root: str | Path) -> Context:
    return Context(find_root(str(root), os.environ), Catalogue(os.environ), os.environ, Silent())

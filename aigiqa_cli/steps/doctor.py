"""doctor: this machine, interpreter, libraries, programs, root and settings, each with a verdict and a next step."""

from __future__ import annotations

from aigiqa_cli.context import Context
from aigiqa_cli.examining import Check
from aigiqa_cli.examining.contents import contents, databases, manifests, mirrors
from aigiqa_cli.examining.place import root
from aigiqa_cli.examining.settings import settings
from aigiqa_cli.examining.software import interpreter, libraries, tools


def examine(context: Context) -> list[Check]:
    """Everything, without changing anything: what the file system can do is tried out in a folder of our own, where
    there is a root already, and nothing of that stays."""
    return [
        *interpreter(),
        *libraries(),
        *tools(),
        *root(context.root),
        *settings(context.settings),
        *manifests(context.catalogue),
        *contents(context.root),
        *databases(context.root, context.catalogue),
        *mirrors(context.root),
    ]

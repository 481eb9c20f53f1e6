"""aigiqa: obtain, verify and use the databases of AI-generated-image quality assessment.

    from aigiqa_cli import catalogue, load, open_database

    load("DB", where="generator = 'midjourney'")    # the index as a pandas DataFrame
    open_database("DB").images()                    # images with scores, prompts and paths
    catalogue()                                     # every known database

Importing the package costs nothing; what a function needs is imported when it is called.
"""

from __future__ import annotations

TYPE_CHECKING = False  # what type checkers take for true: `typing` takes longer to load than what is answered at once
if TYPE_CHECKING:
    from typing import Any

    from aigiqa_cli.api import Database, Picture, catalogue, load, open_database

__all__ = ["Database", "Picture", "__version__", "catalogue", "load", "open_database"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in __all__:
        import importlib

        return getattr(importlib.import_module("aigiqa_cli.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

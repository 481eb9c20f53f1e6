"""Where the data root is. Free of heavy imports, for what is answered at once."""

from __future__ import annotations

import os
from collections.abc import Mapping

VARIABLE = "AIGIQA_ROOT"


def root_path(chosen: str, settings: Mapping[str, str]) -> str:
    """The option, else AIGIQA_ROOT, else the platform's user data folder; without links, as they lead now (S17)."""
    word = chosen or settings.get(VARIABLE, "")
    if not word:
        from platformdirs import user_data_dir

        word = user_data_dir("aigiqa", appauthor=False)
    return os.path.realpath(os.path.expanduser(word))

"""How evaluations are shown: `table` for people and pipes, `document` for papers and spreadsheets."""

from __future__ import annotations

"""What every part of a manifest is: a record that refuses unknown keys; and the words that parts share."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Dimension = Literal["quality", "alignment", "authenticity", "overall"]
TableFormat = Literal["csv", "tsv", "txt", "json", "jsonl", "xlsx", "mat"]


class Strict(BaseModel):
    """A record that refuses unknown keys and never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

"""A folder into which a person downloads: what of it is still, and what lay there before."""

from __future__ import annotations

"""Splits: how images are divided into train, val and test; reading, making and auditing them.

A split is a `Partition` whatever it came from: a file below an installed database (`installed`), any table or list that
names images (`naming`, `reading`), or a recipe (`making`). What its sides have in common is measured (`overlap`) and
judged (`auditing`): clean, leaky or unknown.
"""

from __future__ import annotations

from aigiqa_cli.partitions.auditing import Audited, audit, audit_sides, judge_family, reference_hashes, sides_of, worst
from aigiqa_cli.partitions.installed import load, members
from aigiqa_cli.partitions.making import Recipe, make
from aigiqa_cli.partitions.naming import Names
from aigiqa_cli.partitions.overlap import KINDS, LEAKS, Overlap, Pair, Side, Verdict, judge, percent_in_words
from aigiqa_cli.partitions.partition import Partition, csv_of, part_named
from aigiqa_cli.partitions.reading import Listing, read_listing

__all__ = [
    "KINDS", "LEAKS", "Audited", "Listing", "Names", "Overlap", "Pair", "Partition", "Recipe", "Side", "Verdict",
    "audit", "audit_sides", "csv_of", "judge", "judge_family", "load", "make", "members", "part_named",
    "percent_in_words", "read_listing", "reference_hashes", "sides_of", "worst",
]  # fmt: skip

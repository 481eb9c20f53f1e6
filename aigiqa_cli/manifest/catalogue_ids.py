"""Which row of the fault catalogue a fault of a manifest is, told from its words: validators only hand on words."""

from __future__ import annotations

from collections.abc import Sequence

from aigiqa_cli.manifest.reading import YamlFault

MISSPELT = "M11"  # and whatever else is not as the schema has it
_ROWS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("M18", ("written for a newer aigiqa",)),
    ("M01", ("tags are not allowed",)),
    ("M02", ("anchors are not allowed", "aliases are not allowed", "anchors and merge keys")),
    ("M03", ("the key stands twice",)),
    ("M16", ("control character",)),
    ("M05", ("a key must be text", "not YAML", "not UTF-8", "the file is empty", "the file is too large")),
    ("M05", ("nested too deeply", "more than one YAML", "not a manifest")),
    ("M06", ("an http(s) URL",)),
    ("M08", ("RE2 pattern", "a pattern may have")),
    ("M09", ("the path ",)),
    ("M10", ("(SHA-256)",)),
    ("M12", ("the file name must be the id", "a database cannot be called so")),
    ("M14", ("expects nothing", "the key expect is missing")),
    ("M17", ("too many entries",)),
    ("M04", ("a value is missing", "whole number", "decimal number", "true or false")),
    ("M04", ("a date such as", "day is out of range", "month must be")),
)


def fault_id(faults: Sequence[YamlFault]) -> str:
    """The ID for the error object, which has room for one: what YAML may not say comes before what keys may not."""
    found = {_row(fault) for fault in faults}
    return next((row for row, _ in _ROWS if row in found), MISSPELT)


def _row(fault: YamlFault) -> str:
    words = f"{fault.problem}; {fault.expected}"
    if fault.place == "id" and "a slug" in words:
        return "M12"
    if fault.place.startswith("expect.") and "too few" in words:
        return "M14"
    return next((row for row, said in _ROWS if any(word in words for word in said)), MISSPELT)

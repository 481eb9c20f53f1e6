"""How published work divided the images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aigiqa_cli.cli.page import Page
from aigiqa_cli.cli.profile.portrait import Portrait, folds_here, how
from aigiqa_cli.store import Record

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Split

BY = {"prompt": "by prompt", "image": "by image", "unknown": ""}


def show(page: Page, portrait: Portrait, *, everything: bool) -> None:
    known, record = portrait.known, portrait.record
    if not known.splits:
        return
    page.heading("Splits", "by prompt: no prompt is on both sides; by image: prompts may be on both")
    room = max(len(split.name) for split in known.splits)
    for split in known.splits:
        _split(page, split, record, room, everything=everything)
    if any(split.published and not folds_here(split, record) for split in known.splits):
        page.blank()
        page.parts([("published files come with ", "dim"), (f"aigiqa fetch {known.id} --splits", "green")], 2, 4)


def _split(page: Page, split: Split, record: Record | None, room: int, *, everything: bool) -> None:
    here = folds_here(split, record)
    line = [(f"{split.name:<{room}}  ", "bold"), (f"{BY[split.by]:<9}  {how(split)}", "")]
    line += [("  official", "bold")] if split.official else []
    line += [(f"  here{f' ({len(here)} folds)' if len(here) > 1 else ''}", "green")] if here else []
    page.parts(line, 2, 4)
    for text in (split.described, split.note):
        page.text(text, 4)
    for name in here:
        if record and record.splits[name]:
            page.parts([(f"{name}: ", "dim"), (record.splits[name], "yellow")], 4, 6)
    if not everything:
        return
    for text in (f"licence: {split.license}" if split.license else "", split.evidence):
        page.text(text, 4, "dim")
    if split.published:
        files = split.published
        page.text(f"{files.kind} {files.repo} at {files.revision}:", 4, "dim")
        for file in files.files:
            page.text(f"{file.path}  {file.part}{'' if file.tested or files.tested else ', untested'}", 6, "dim")

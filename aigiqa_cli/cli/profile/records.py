"""A database as records for other programs: one a line, tab separated, the first field says what it is. Nothing is
left out, wrapped or rounded; an empty field is not known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aigiqa_cli.cli.profile.portrait import (
    Portrait,
    address,
    between,
    folds_here,
    health,
    how,
    method,
    proof,
    publications,
    raters,
    reference,
    role,
)
from aigiqa_cli.cli.terminal import Terminal

if TYPE_CHECKING:
    from aigiqa_cli.manifest.models import Asset, Database


def write(terminal: Terminal, portrait: Portrait) -> None:
    known = portrait.known
    _identity(terminal, portrait)
    for asset in known.assets:
        _asset(terminal, portrait, asset)
    for dimension, score in known.labels[0].scores.items():
        scale = f"{score.range[0]} to {score.range[1]}"
        people, way = raters(known, score) or "?", method(known, score) or "?"
        terminal.record("score", dimension, scale, people, way, score.evidence)
    for source in known.labels:
        partial = source.partial or ""
        terminal.record("labels", ", ".join(source.needs), source.third_party, partial, source.lacks, source.evidence)
    for split in known.splits:
        here = "yes" if folds_here(split, portrait.record) else "no"
        note = split.note or split.described
        terminal.record("split", split.name, split.by, how(split), here, note, split.license, split.evidence)
    for defect in known.defects:
        terminal.record("defect", defect.what, defect.evidence, defect.affects)
    for witness in known.witnesses:
        terminal.record("witness", witness.image, witness.bytes or "", witness.sha256, witness.source)
    _here(terminal, portrait)
    for name, text in known.facts.items():
        terminal.record("fact", name, text)
    _results(terminal, known)


def _identity(terminal: Terminal, portrait: Portrait) -> None:
    known, state = portrait.known, portrait.state
    terminal.record("id", known.id)
    terminal.record("title", known.title)
    terminal.record("summary", known.summary)
    terminal.record("state here", f"{state}{f': {state.why}' if state.why else ''}")
    terminal.record("images", between(known.expect.images, plain=True))
    terminal.record("rows", between(known.expect.rows, plain=True))
    terminal.record("prompts", between(known.expect.prompts, plain=True))
    terminal.record("references", between(known.expect.references, plain=True))
    generators = known.expect.generators.items()
    terminal.record("generators", ", ".join(f"{name} {between(bounds, plain=True)}" for name, bounds in generators))
    license_ = known.license
    terminal.record("licence", f"{license_.spdx}: {license_.scope} ({license_.source})", license_.note)
    terminal.record("homepage", known.homepage or "unknown")
    terminal.record("cite", reference(known.citation), known.citation.note)
    for link in publications(known.citation):
        terminal.record("publication", link)
    terminal.record("aliases", ", ".join(known.aliases))
    terminal.record("size", portrait.size, "" if portrait.bytes is None else portrait.bytes)
    terminal.record("automatic mirrors", ", ".join(portrait.automatic) or "by hand")


def _asset(terminal: Terminal, portrait: Portrait, asset: Asset) -> None:
    size = "" if asset.size is None else asset.size
    terminal.record(
        "file", asset.name, role(asset), size, proof(asset), asset.approximate_size, asset.format, asset.inside,
        asset.password, asset.note, asset.evidence,
    )  # fmt: skip
    for twin in asset.twins:
        terminal.record("twin", asset.name, twin.bytes or "", twin.sha256, twin.note)
    for volume in asset.volumes:
        terminal.record("volume", volume.name, asset.name, volume.bytes, volume.sha256)
    for part in asset.parts:
        for mirror in part.mirrors:
            source = mirror.health.source if mirror.health else ""
            terminal.record(
                "mirror", part.name, address(asset, mirror), mirror.code, health(mirror), mirror.kind, mirror.note,
                mirror.evidence, source,
            )  # fmt: skip
            if found := portrait.checked(mirror):
                where = address(asset, mirror)
                terminal.record("checked", part.name, where, found.state, found.at, found.detail, mirror.kind)


def _here(terminal: Terminal, portrait: Portrait) -> None:
    record = portrait.record
    if record is None:
        return
    terminal.record("here", portrait.folder, record.rows, record.images, record.references, record.size)
    terminal.record("installed", record.installed_at, record.aigiqa)
    for source in record.sources:
        terminal.record("source", source.asset, source.origin, source.bytes, source.sha256, source.proof or "unpinned")
    for name, note in record.splits.items():
        terminal.record("split here", name, note)
    terminal.record("ignored", record.ignored)
    for warning in record.warnings:
        terminal.record("warning", warning)
    for finding in record.rejected:
        terminal.record("rejected", *(finding.get(key, "") for key in ("path", "problem", "expected", "found")))


def _results(terminal: Terminal, known: Database) -> None:
    for result in known.results:
        numbers = ["" if number is None else number for number in (result.srcc, result.plcc)]
        terminal.record(
            "result", result.method, result.dimension, *numbers, result.protocol, result.source, result.note
        )

"""lint: are the manifests what they must be? All faults at once; and how a first download becomes a pin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from aigiqa_cli.context import Context
from aigiqa_cli.errors import Finding, RefusedInput, UsageFault
from aigiqa_cli.installing.matching import IMAGES, REFERENCES
from aigiqa_cli.installing.pictures import content_sha256
from aigiqa_cli.manifest import VOCABULARY_NAME, load, load_vocabulary
from aigiqa_cli.manifest.catalogue import fold
from aigiqa_cli.store import read_record


def lint(context: Context, files: Sequence[Path]) -> tuple[list[Path], list[Finding]]:
    """Check manifests (all of the catalogue if none is named); returns what was checked and every fault."""
    paths = list(files) or [entry.path for entry in context.catalogue.entries.values()]
    findings: list[Finding] = []
    for path in paths:
        if not path.is_file():
            raise UsageFault(f"there is no manifest {path}", hint="check the path", phase="PLAN")
        try:
            if path.name == VOCABULARY_NAME:
                load_vocabulary(path)
            else:
                load(path, generators=context.catalogue.generators)
        except RefusedInput as fault:
            findings += fault.findings
    if not files:
        findings += _ambiguous_names(context)
    return paths, findings


def _ambiguous_names(context: Context) -> Iterator[Finding]:
    """An id or alias must mean one database."""
    owner: dict[str, str] = {}
    for entry in context.catalogue.entries.values():
        try:
            names = [entry.id, *context.catalogue.load(entry).aliases]
        except RefusedInput:
            continue
        for name in names:
            other = owner.setdefault(fold(name), entry.id)
            if other != entry.id:
                problem = f"aliases: {name} already means {other}"
                yield Finding(entry.id, f"{entry.path}:1", problem, "a name of its own", name)


def pinned_copy(context: Context, name: str) -> tuple[str, list[str]]:
    """The manifest text with the hashes of the installed, so far unpinned assets written in; and what was pinned."""
    record = read_record(context.root, name)
    if record is None:
        raise UsageFault(f"{name} is not installed, so nothing is known to pin", hint=f"aigiqa fetch {name}")
    text = context.manifest_bytes(name).decode("utf-8")
    content = content_sha256(file for file in record.files if file.path.startswith((IMAGES, REFERENCES)))
    pinned = []
    for source in record.sources:
        if source.proof or source.role == "split":
            continue
        pins = {"bytes": str(source.bytes), "sha256": source.sha256} if source.sha256 else {}
        pins |= {"content_sha256": content} if source.role == IMAGES else {}
        text = _with_pins(text, source.asset, pins)
        pinned += [f"{source.asset}: {key} {value}" for key, value in pins.items()]
    if not pinned:
        raise UsageFault(f"every asset of {name} that is installed here is pinned already", hint=f"aigiqa info {name}")
    return text, pinned


def _with_pins(text: str, asset: str, pins: dict[str, str]) -> str:
    """Set keys in the block of one asset; everything else stays as it is."""
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        start = line.lstrip()
        if start.rstrip("\r\n") in (f"- name: {asset}", f'- name: "{asset}"', f"- name: '{asset}'"):
            indent = " " * (len(line) - len(start) + 2)
            end = next(
                (n for n in range(number + 1, len(lines)) if lines[n].strip() and not lines[n].startswith(indent)),
                len(lines),
            )
            keys = tuple(f"{indent}{key}:" for key in pins)
            block = [line for line in lines[number + 1 : end] if not line.startswith(keys)]
            added = [f"{indent}{key}: {value}\n" for key, value in pins.items()]
            return "".join([*lines[: number + 1], *added, *block, *lines[end:]])
    raise UsageFault(f"the manifest has no block `- name: {asset}` to pin", hint="write the hash by hand")

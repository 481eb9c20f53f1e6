"""lint: are the manifests what they must be? All faults at once; and how a first download becomes a pin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from aigiqa_cli.context import Context
from aigiqa_cli.errors import Finding, RefusedInput, UsageFault
from aigiqa_cli.manifest import VOCABULARY_NAME, load, load_vocabulary
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
    return paths, findings


def pinned_copy(context: Context, name: str) -> tuple[str, list[str]]:
    """The manifest text with the hashes of the installed, so far unpinned assets written in; and what was pinned."""
    record = read_record(context.root, name)
    if record is None:
        raise UsageFault(f"{name} is not installed, so nothing is known to pin", hint=f"aigiqa fetch {name}")
    text = context.manifest_bytes(name).decode("utf-8")
    pinned = []
    for source in record.sources:
        if not source.proof and source.sha256 and source.role != "split":
            text = _with_pin(text, source.asset, source.bytes, source.sha256)
            pinned.append(f"{source.asset}: {source.bytes} bytes, SHA-256 {source.sha256}")
    if not pinned:
        raise UsageFault(f"every asset of {name} that is installed here is pinned already", hint=f"aigiqa info {name}")
    return text, pinned


def _with_pin(text: str, asset: str, length: int, digest: str) -> str:
    """Set `bytes` and `sha256` in the block of one asset; everything else stays as it is."""
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        start = line.lstrip()
        if start.rstrip("\n") in (f"- name: {asset}", f'- name: "{asset}"', f"- name: '{asset}'"):
            indent = " " * (len(line) - len(start) + 2)
            end = next(
                (n for n in range(number + 1, len(lines)) if lines[n].strip() and not lines[n].startswith(indent)),
                len(lines),
            )
            keys = (f"{indent}bytes:", f"{indent}sha256:")
            block = [line for line in lines[number + 1 : end] if not line.startswith(keys)]
            pin = [f"{indent}bytes: {length}\n", f"{indent}sha256: {digest}\n"]
            return "".join([*lines[: number + 1], *pin, *block, *lines[end:]])
    raise UsageFault(f"the manifest has no block `- name: {asset}` to pin", hint="write the hash by hand")

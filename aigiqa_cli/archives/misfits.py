"""What a broken set of volumes tells a person: one is missing, one is incomplete, or they are of two uploads (A26)."""

from __future__ import annotations

from collections import Counter

from aigiqa_cli.archives.source import JOINED
from aigiqa_cli.archives.volumes import VolumeSet
from aigiqa_cli.errors import Fault, Finding, IntegrityFault, PersonNeeded

_MISFITS = ("A10", "A12", "A16", "A17", "A18", "A19", "A26")  # what volumes that do not belong together look like


def verdict(volumes: VolumeSet | None, name: str, reason: str, fault: str) -> Fault | None:
    """The fault of a set whose archive is refused with `fault`; None where its volumes may well belong together."""
    if volumes is None or fault not in _MISFITS:
        return None
    if len(volumes.paths) == 1 and volumes.shape != JOINED:
        return None
    for link, path in zip(volumes.names, volumes.paths, strict=True):
        reason = reason.replace(link, path.name)
    sizes = [path.stat().st_size for path in volumes.paths]
    usual = _usual(sizes)
    odd = [at for at, size in enumerate(sizes) if size > usual or (size < usual and at < len(sizes) - 1)]
    if fault == "A17" and volumes.shape == JOINED and not odd and sizes[-1] == usual:
        return PersonNeeded(
            f"{name} ends too early: a volume after {volumes.paths[-1].name} is missing, or one of "
            f"the {len(volumes.paths)} is of another upload ({reason})",
            hint="put all volumes into one folder, then run the same command again",
            fault="N27",
            phase="LIST",
        )
    return _misfit(volumes, name, reason, sizes, odd)


def _misfit(volumes: VolumeSet, name: str, reason: str, sizes: list[int], odd: list[int]) -> IntegrityFault:
    usual = _usual(sizes)
    named = ", ".join(f"{volumes.paths[at].name} has {sizes[at]:,} bytes" for at in odd)
    why = f"{named}, the others {usual:,} ({reason})" if odd else reason
    which = " and ".join(volumes.paths[at].name for at in odd)
    hint = f"{which} is incomplete, or they come from two uploads; download it again from where the others are from"
    return IntegrityFault(
        f"the volumes of {name} do not fit together: {why}",
        hint=hint
        if odd
        else "one is incomplete, or they come from two uploads; download all of them again from one place",
        fault="A26",
        phase="LIST",
        findings=[
            Finding("", str(path), "of another size than the others", f"{usual} bytes", f"{sizes[at]} bytes")
            if at in odd
            else Finding("", str(path), "a volume of the set", "", f"{sizes[at]} bytes")
            for at, path in enumerate(volumes.paths)
        ],
    )


def _usual(sizes: list[int]) -> int:
    """The size that volumes are cut to: that of most of them, of two the larger; the last one may be shorter."""
    counts = Counter(sizes)
    return max(counts, key=lambda size: (counts[size], size))

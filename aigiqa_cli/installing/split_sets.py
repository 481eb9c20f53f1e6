"""Archives published in several parts: joined only when every part is proven to be the published one (N27)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aigiqa_cli.errors import Finding, IntegrityFault, PersonNeeded
from aigiqa_cli.installing.supplies import File
from aigiqa_cli.store import StoredSource

if TYPE_CHECKING:
    from aigiqa_cli.manifest.assets import Asset, Volume
    from aigiqa_cli.manifest.models import Database


def check(database: Database, file: File) -> None:
    """Before anything is joined. A set of which no part is a published one is another upload and is judged by its
    content; of one that is published every part must be there.

    Raises IntegrityFault for parts of two uploads, PersonNeeded for parts that are missing; each is named.
    """
    asset = _published(database, file)
    if asset is None:
        return
    found = {digest for digest, _ in file.digests}
    missing = [volume for volume in asset.volumes if volume.sha256 not in found]
    wrong = [
        Finding(database.id, str(path), "not a published part", ", ".join(v.sha256 for v in missing), digest)
        for path, (digest, _) in zip(file.paths, file.digests, strict=True)
        if digest not in {volume.sha256 for volume in asset.volumes}
    ]
    if wrong:
        raise IntegrityFault(
            f"{file.name} is a mixture: {_names(wrong)} is not the published part, the other parts are",
            hint="the parts come from two uploads, or one is damaged: download it again from where the others are from",
            fault="N27",
            database=database.id,
            phase="CHECK",
            findings=wrong,
        )
    if missing:
        raise _missing(database, asset, missing)


def sources(database: Database, file: File) -> list[StoredSource]:
    """How the parts are remembered in the record, each with its own proof; nothing for any other file."""
    asset = _published(database, file)
    if asset is None:
        return []
    names = {volume.sha256: volume.name for volume in asset.volumes}
    return [
        StoredSource(asset.name, asset.role, file.origin, names[digest], length, digest, "sha256")
        for digest, length in file.digests
    ]


def _published(database: Database, file: File) -> Asset | None:
    """The asset of which at least one given file is a published part."""
    split = [asset for asset in database.assets if asset.volumes]
    if not split or not file.volumes:
        return None
    found = {digest for digest, _ in file.digests}
    return next((asset for asset in split if found.intersection(v.sha256 for v in asset.volumes)), None)


def _missing(database: Database, asset: Asset, missing: list[Volume]) -> PersonNeeded:
    names = ", ".join(volume.name for volume in missing)
    return PersonNeeded(
        f"{names} of {asset.published_name} is missing: the archive is published in {len(asset.volumes)} parts",
        hint="put all parts into one folder, then run the same command again",
        fault="N27",
        database=database.id,
        phase="CHECK",
        findings=[Finding(database.id, v.name, "missing", f"{v.bytes} bytes, SHA-256 {v.sha256}") for v in missing],
    )


def _names(findings: list[Finding]) -> str:
    return ", ".join(finding.path.rpartition("/")[2] for finding in findings)

"""Replicas of AGIQA-3K: the true names and the true label table around small generated images.

Nobody documents the inner path of the published archive, so every layout that users of the database report
is built here, with the junk that such archives collect.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from PIL import Image
from tiny import small_labels, tiny_manifest

__all__ = [
    "ARCHIVES", "LAYOUTS", "REPOSITORY", "Member", "archive", "folder", "image", "images", "junk", "members", "names",
    "overlay_manifest", "shared", "small_labels", "tiny_manifest", "true_labels",
]  # fmt: skip

REPOSITORY = Path(__file__).resolve().parent.parent

Member = tuple[str, bytes]

LAYOUTS = {
    "top": "AGIQA-3K/{}",
    "flat": "{}",
    "image": "image/{}",
    "images": "images/{}",
    "img": "img/{}",
    "nested": "AGIQA-3k/AGIQA-3k/Images/{}",
    "mixed": "agi-cgi/{}",  # one folder with another database's images, as a method's authors published it
}
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tar.xz", ".tar.bz2")


def shared() -> Path | None:
    """The folder with the published label files, or None where this machine has none."""
    folder = Path(os.environ.get("AIGIQA_SHARED") or REPOSITORY.parent / "shared")
    return folder if (folder / "data/agiqa3k/data.csv").is_file() else None


def true_labels() -> bytes:
    """AGIQA-3K's `data.csv` exactly as published (CRLF)."""
    folder = shared()
    if folder is None:
        raise FileNotFoundError("the published data.csv is not on this machine (AIGIQA_SHARED)")
    return (folder / "data/agiqa3k/data.csv").read_bytes()


def names(table: bytes) -> list[str]:
    rows = csv.DictReader(io.StringIO(table.decode(), newline=""))
    return [row["name"] for row in rows]


def image(name: str) -> bytes:
    """A JPEG of 16 to 24 pixels a side, different for every name and the same in every run."""
    seed = hashlib.sha512(name.encode()).digest()
    size = (16 + seed[0] % 9, 16 + seed[1] % 9)
    target = io.BytesIO()
    coarse = Image.frombytes("RGB", (4, 4), seed[:48]).resize(size, Image.Resampling.BILINEAR)
    coarse.save(target, "JPEG", quality=85, comment=name)  # the comment alone makes each file unique
    return target.getvalue()


def images(wanted: Iterable[str]) -> dict[str, bytes]:
    return {name: image(name) for name in wanted}


def junk(folder: str) -> list[Member]:
    """What lies beside the images of `folder` in archives made by hand; nothing here is a labelled image."""
    foreign = [(f"{folder}{name}", image(name)) for name in ("cover.jpg", "AttnGAN_normal_000 (1).jpg", "teaser.png")]
    return [
        (f"__MACOSX/{folder}._AttnGAN_normal_000.jpg", b"\x00\x05\x16\x07" + bytes(116)),
        ("__MACOSX/._data", b"\x00\x05\x16\x07" + bytes(116)),
        (f"{folder}.DS_Store", b"\x00\x00\x00\x01Bud1" + bytes(200)),
        (f"{folder}Thumbs.db", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)),
        (f"{folder}docs/README.md", b"# Images\nSee the paper.\n"),
        *foreign,
    ]


def members(layout: str, pictures: dict[str, bytes], *, with_junk: bool = False) -> list[Member]:
    """(path, bytes) of every file of one reported layout."""
    pattern = LAYOUTS[layout]
    listed = [(pattern.format(name), data) for name, data in pictures.items()]
    if layout == "mixed":
        foreign = [f"{kind}_{number:04}.jpg" for number in range(1, 21) for kind in ("game", "movie")]
        listed += [(pattern.format(name), image(name)) for name in foreign]
    if with_junk:
        listed[1:1] = junk(pattern.format(""))
    return listed


def archive(path: Path, listed: Iterable[Member]) -> Path:
    """Write `listed` as the archive that the suffix of `path` names; the same bytes in every run."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
            for name, data in listed:
                entry = zipfile.ZipInfo(name, (2023, 6, 11, 12, 0, 0))
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                target.writestr(entry, data, compresslevel=1)
        return path
    kind = "" if path.suffix == ".tar" else path.suffix[1:]
    with tarfile.open(path, f"w:{kind}", **({"preset": 1} if kind == "xz" else {})) as target:  # type: ignore[call-overload]
        for name, data in listed:
            about = tarfile.TarInfo(name)
            about.size, about.mtime, about.mode = len(data), 1_686_484_800, 0o644
            target.addfile(about, io.BytesIO(data))
    return path


def folder(path: Path, listed: Iterable[Member]) -> Path:
    """Write `listed` as loose files below `path`."""
    made: set[Path] = set()
    for name, data in listed:
        target = path / name
        if target.parent not in made:
            target.parent.mkdir(parents=True, exist_ok=True)
            made.add(target.parent)
        target.write_bytes(data)
    return path


def overlay_manifest(text: str, size: int, sha256: str, asset: str = "AGIQA-3K.zip") -> str:
    """The manifest with other `bytes` and `sha256` for one asset and not one other byte changed."""
    lines = text.splitlines(keepends=True)
    found = _block(lines, asset)
    wanted = {"bytes": str(size), "sha256": sha256}
    for number in found:
        key, colon, rest = lines[number].strip().removeprefix("- ").partition(":")
        if key in wanted and colon:
            comment = rest.partition(" #")[1] + rest.partition(" #")[2]
            head = lines[number].partition(f"{key}:")[0]
            lines[number] = f"{head}{key}: {wanted.pop(key)}{comment}\n"
    if wanted:
        raise ValueError(f"{asset} has no line for {' and '.join(sorted(wanted))} at the indentation of its block")
    return "".join(lines)


def _block(lines: list[str], asset: str) -> Iterator[int]:
    """Numbers of the lines that stand at the key indentation of the asset `- name: ASSET`."""
    starts = [
        number
        for number, line in enumerate(lines)
        if line.strip().partition(" #")[0].strip().replace('"', "").replace("'", "") == f"- name: {asset}"
    ]
    if len(starts) != 1:
        raise ValueError(f"{len(starts)} assets are called {asset}")
    indent = lines[starts[0]].index("-") + 2
    for number in range(starts[0] + 1, len(lines)):
        line = lines[number]
        depth = len(line) - len(line.lstrip())
        if line.strip() and depth < indent:
            return
        if line.strip() and depth == indent:
            yield number

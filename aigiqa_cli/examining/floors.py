"""Facts about versions with known holes, all in this one place: which release has closed which (D01, D02).

They are those of November 2026, from the CVE records and the projects' notes. A newer release than any named here
counts as sound: what is not known yet cannot stand here.
"""

from __future__ import annotations

from dataclasses import dataclass

OLDEST_PYTHON = (3, 11)


@dataclass(frozen=True)
class Hole:
    """A hole of the interpreter's own archive readers. `closed` is the first sound patch release of each minor version;
    a minor version that is not named there has no sound release, unless it is newer than all that are."""

    what: str
    ids: tuple[str, ...]
    closed: dict[tuple[int, int], int]

    def is_open(self, version: tuple[int, int, int]) -> bool:
        minor = version[:2]
        if minor in self.closed:
            return version[2] < self.closed[minor]
        return minor < max(self.closed)


HOLES = (
    Hole("zip: overlapping members", ("CVE-2024-0450",), {(3, 11): 8, (3, 12): 2, (3, 13): 0}),
    Hole(
        "tar: links that lead out",
        ("CVE-2024-12718", "CVE-2025-4138", "CVE-2025-4330", "CVE-2025-4435", "CVE-2025-4517"),
        {(3, 11): 13, (3, 12): 11, (3, 13): 4, (3, 14): 0},
    ),
    Hole("tar: negative offsets", ("CVE-2025-8194",), {(3, 11): 14, (3, 12): 12, (3, 13): 6, (3, 14): 0}),
    Hole("zip: hidden ZIP64 records", ("CVE-2025-8291",), {(3, 11): 14, (3, 12): 12, (3, 13): 10, (3, 14): 1}),
    Hole("tar: two readings of a header", ("CVE-2025-13462",), {(3, 13): 13, (3, 14): 4}),
    Hole("decompressors after a failed allocation", ("CVE-2026-6100",), {(3, 13): 14, (3, 14): 5}),
    Hole("tar: filters evaded by links", ("CVE-2026-82049",), {(3, 11): 17, (3, 12): 15, (3, 13): 16, (3, 14): 0}),
)


@dataclass(frozen=True)
class Floor:
    """The oldest version of a library without a known hole that could reach us, and what an older one would let in."""

    oldest: str
    why: str


LIBRARIES: dict[str, Floor] = {
    "gdown": Floor("6.5", "CVE-2026-40491; older ones stored error pages of plain links"),
    "huggingface_hub": Floor("1.29", "CVE-2026-15717: file names that leave the folder"),
    "modelscope": Floor("1.38", "CVE-2025-51427, CVE-2026-84202; only its hub client is imported, never the core"),
    "requests": Floor("2.33", "CVE-2024-47081, CVE-2026-25645"),
    "urllib3": Floor("2.8", "CVE-2025-66418, CVE-2026-44431 and others: bombs, endless lines, header leaks"),
    "pillow": Floor("12.3", "CVE-2026-25990, CVE-2026-59197 and others: decoders"),
    "py7zr": Floor("1.1.3", "CVE-2022-44900, CVE-2026-55195 and others: paths, bombs"),
    "openpyxl": Floor("3.1", "safe only beside defusedxml"),
    "defusedxml": Floor("0.7.1", "keeps entity bombs from openpyxl"),
    "pyyaml": Floor("6.0.2", "our filter of events stands before it"),
}


@dataclass(frozen=True)
class ToolFloor:
    """The same for another program. `package` is what brings it, `purpose` what it is asked for."""

    oldest: tuple[int, ...]
    why: str
    package: str
    purpose: str
    version: tuple[str, ...] = ()


_SEVEN = ToolFloor((25, 1), "CVE-2025-55188", "7zip", "Deflate64, PPMd and AES in zip, rare methods in 7z")
TOOLS: dict[str, ToolFloor] = {
    "7zz": _SEVEN,
    "7z": _SEVEN,
    "7za": _SEVEN,
    "unar": ToolFloor((1, 10), "", "unar", "packed rar", ("-v",)),
    "unrar": ToolFloor((7, 13), "CVE-2025-6218, CVE-2025-8088 (Windows)", "unrar", "packed rar"),
    "bsdtar": ToolFloor(
        (3, 8), "CVE-2024-48957, CVE-2025-5914 to -5918", "libarchive-tools", "unusual archives", ("--version",)
    ),
}

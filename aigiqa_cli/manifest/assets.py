"""The files of a database and where each can be had."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from aigiqa_cli.manifest.base import Strict
from aigiqa_cli.manifest.scalars import (
    Count,
    Day,
    Flag,
    RelativePath,
    Repository,
    Revision,
    Sha256,
    Sha256Start,
    Text,
    Url,
)

MAX_MIRRORS = 20
MAX_VOLUMES = 1_000

Kind = Literal[
    "http", "github", "huggingface", "modelscope", "gdrive", "builtin", "baidu", "quark", "terabox", "onedrive"
]
Role = Literal["images", "references", "labels", "split", "weights"]
AssetFormat = Literal["zip", "tar", "7z", "rar", "tree", "csv", "tsv", "json", "jsonl", "xlsx", "mat", "txt", "other"]

NEEDED_BY_KIND: dict[str, tuple[str, ...]] = {
    "http": ("url",),
    "github": ("repo", "revision", "path"),
    "huggingface": ("repo", "revision"),
    "modelscope": ("repo",),
    "gdrive": ("id",),
    "builtin": ("path",),
    "baidu": ("url",),
    "quark": ("url",),
    "terabox": ("url",),
    "onedrive": ("url",),
}
ARCHIVES = ("zip", "tar", "7z", "rar")


class Health(Strict):
    """What is publicly known of a mirror's state, and since when."""

    state: Literal["ok", "reported-dead", "withdrawn", "empty", "unknown"]
    date: Day | None = None
    source: Text


class Mirror(Strict):
    """One place that an asset can be had from."""

    kind: Kind
    url: Url | Literal[""] = ""
    repo: Repository | Literal[""] = ""
    revision: Revision | Literal[""] = ""
    path: RelativePath | Literal[""] = ""
    id: Text = ""
    code: Text = ""  # the extraction code of the share, verbatim; never an archive password
    note: Text = ""
    evidence: Text = ""
    health: Health | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        missing = [key for key in NEEDED_BY_KIND[self.kind] if not getattr(self, key)]
        if missing:
            raise ValueError(f"a mirror of kind {self.kind} needs {' and '.join(missing)}")
        return self


class Twin(Strict):
    """Other bytes that public material shows to be the same content."""

    bytes: Count | None = None
    sha256: Sha256
    note: Text


class LocalTwin(Twin):
    """Bytes that a person accepted on this machine; never in a manifest (N31)."""


class Volume(Strict):
    """One part of an archive that was published in several: nothing is joined before every part is proven (N27)."""

    name: RelativePath
    bytes: Count
    sha256: Sha256
    mirrors: Annotated[tuple[Mirror, ...], Field(max_length=MAX_MIRRORS)] = ()

    @property
    def published_name(self) -> str:
        return self.name

    @property
    def accepted(self) -> tuple[str, ...]:
        return (self.sha256,)

    @property
    def is_tree(self) -> bool:
        return False


class Asset(Strict):
    """One published file. `bytes` and `sha256` only where public material states them."""

    name: RelativePath
    file: RelativePath | Literal[""] = ""  # the published file name, where `name` had to differ to be unique
    role: Role
    format: AssetFormat
    bytes: Count | None = None
    approximate_size: Text = ""  # as a page rounds it ("99.3 MB"), where the exact size is not known
    sha256: Sha256 | Literal[""] = ""
    sha256_begins: Sha256Start | Literal[""] = ""  # where no more of it is stated, as in resnet18-f37072fd.pth
    content_sha256: Sha256 | Literal[""] = ""  # over published names, lengths and hashes of the images, sorted
    twins: tuple[Twin, ...] = ()
    volumes: tuple[Volume, ...] = ()  # of a split archive, in order; `bytes` and `sha256` are those of all end to end
    advisory: Flag = False  # the hashes are those of copies that others carry: other bytes may be right as well
    optional: Flag = False
    password: Text = ""  # of the archive itself, where it is published; the code of a share is another thing
    nested: tuple[RelativePath, ...] = ()  # archives inside this one, as path endings; they are opened too
    inside: Text = ""  # the asset that holds this one, where it is published in no other way
    substitutes: Text = ""  # the asset whose content this repack carries in other bytes
    evidence: Text = ""
    note: Text = ""
    mirrors: Annotated[tuple[Mirror, ...], Field(max_length=MAX_MIRRORS)] = ()

    @model_validator(mode="after")
    def _one_file(self) -> Self:
        """A mirror on a hub names a file; that of a tree may mean the whole repository."""
        if self.format != "tree" and any(m.kind == "huggingface" and not m.path for m in self.mirrors):
            raise ValueError("a mirror of kind huggingface needs path")
        return self

    @model_validator(mode="after")
    def _one_hash(self) -> Self:
        """The beginning of a hash says less than the whole of it, and something else contradicts it."""
        if self.sha256_begins and (self.sha256 or self.twins or self.volumes or self.is_tree):
            raise ValueError("sha256_begins stands where nothing else is known of the hash, and for one file")
        return self

    @model_validator(mode="after")
    def _split(self) -> Self:
        """The parts of a split archive are at least two different files, and the only way to get it."""
        if not self.volumes:
            return self
        names = [volume.name.casefold() for volume in self.volumes]
        if not 2 <= len(names) <= MAX_VOLUMES or len(set(names)) < len(names):  # noqa: PLR2004 - one is no set
            raise ValueError(f"volumes are 2 to {MAX_VOLUMES} files with different names")
        if not self.is_archive or self.role not in ("images", "references"):
            raise ValueError("only an archive with images or references has volumes")
        if self.mirrors:
            raise ValueError("an asset has mirrors or volumes, which have mirrors of their own; not both")
        if self.bytes is not None and self.bytes != sum(volume.bytes for volume in self.volumes):
            raise ValueError("bytes is not the sum of the volumes")
        return self

    @property
    def published_name(self) -> str:
        return self.file or self.name

    @property
    def size(self) -> int | None:
        """Bytes to be downloaded, where that is known."""
        return sum(volume.bytes for volume in self.volumes) if self.volumes else self.bytes

    @property
    def parts(self) -> tuple[Asset | Volume, ...]:
        """Itself and its volumes: all that mirrors are named for."""
        return (self, *self.volumes)

    @property
    def every_mirror(self) -> tuple[Mirror, ...]:
        """Those of its volumes, if it is published in several."""
        return tuple(mirror for part in self.parts for mirror in part.mirrors)

    @property
    def accepted(self) -> tuple[str, ...]:
        """Every hash that proves this content, the pinned one first."""
        return tuple(h for h in (self.sha256, *(twin.sha256 for twin in self.twins)) if h)

    @property
    def local(self) -> tuple[str, ...]:
        """Hashes that only the person at this machine vouches for."""
        return tuple(twin.sha256 for twin in self.twins if isinstance(twin, LocalTwin))

    @property
    def is_tree(self) -> bool:
        """A folder of many files, each of which is fetched by itself."""
        return self.format == "tree"

    @property
    def is_archive(self) -> bool:
        """Also one of which nobody has published the kind."""
        return self.format in ARCHIVES or (self.format == "other" and self.role in ("images", "references"))

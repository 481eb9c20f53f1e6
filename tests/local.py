"""What the rigs of local faults share: a database of sixty files on a plain server, and the command against it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import invariants
import replicas
from doubles import FaultServer
from nursery import Ended, Nursery
from tiny import MODELS, SLUGS, TINY_COMMIT, TINY_HOST, TINY_REPOSITORY, tiny_manifest

NAME = "tiny"
ARCHIVE, TABLE = "/tiny.zip", "/data.csv"
OUTSIDE = ("home", "work", "user", "manifests")


def labels(prompts: int, shift: int = 0) -> bytes:
    """Invented rows in AGIQA-3K's table shape, `prompts` of each of four models."""
    lines = ["name,prompt,adj1,adj2,style,mos_quality,std_quality,mos_align,std_align"]
    lines += [
        f"{model}_{number:03}.jpg,a thing of number {number},,,,{(number + place + shift) % 5}.125,0.5,2.{number % 10},0.25"
        for place, model in enumerate(MODELS)
        for number in range(prompts)
    ]
    return ("\r\n".join(lines) + "\r\n").encode()


def archive(prompts: int, at: Path) -> bytes:
    names = [f"{model}_{number:03}.jpg" for model in MODELS for number in range(prompts)]
    return replicas.archive(
        at, [(f"AGIQA-3K/{name}", data) for name, data in replicas.images(names).items()]
    ).read_bytes()


EARLY = "import aigiqa_cli.early\naigiqa_cli.early.WORTH = 0\n"


def manifest(server: FaultServer, packed: bytes, table: bytes, prompts: int) -> str:
    """`tiny` with more images, and both files on `server`."""
    text = tiny_manifest(packed, table)
    counts = ", ".join(f"{slug}: {prompts}" for slug in SLUGS.values())
    github = f'{{kind: github, repo: {TINY_REPOSITORY}, revision: "{TINY_COMMIT}", path: data.csv}}'
    text = text.replace(f"https://{TINY_HOST}{ARCHIVE}", server.url(ARCHIVE))
    text = text.replace(github, f"{{kind: http, url: {server.url(TABLE)}}}")
    return text[: text.index("expect:")] + (
        f"expect: {{images: {4 * prompts}, rows: {4 * prompts}, prompts: {prompts}, generators: {{{counts}}}}}\n"
    )


class Local:
    """`tiny` with 4 x `prompts` images on a server, a root, a world outside it, and a nursery for runs.

    Its archive is small; it is unpacked while it arrives all the same, as a large one would be."""

    def __init__(self, base: Path, server: FaultServer, nursery: Nursery, prompts: int) -> None:
        self.base, self.server, self.nursery, self.root = base, server, nursery, base / "root"
        nursery.prelude = EARLY
        self.packed, self.table = archive(prompts, base / "tiny.zip"), labels(prompts)
        server.site.put(ARCHIVE, self.packed)
        server.site.put(TABLE, self.table)
        self.manifest = base / "manifests" / f"{NAME}.yaml"
        self.manifest.parent.mkdir(exist_ok=True)
        self.manifest.write_text(manifest(server, self.packed, self.table, prompts))
        (base / "user").mkdir(exist_ok=True)
        (base / "user" / "marker").write_bytes(b"mine")
        (base / "user" / "link").symlink_to("marker")
        self.outside = self.world()

    def world(self) -> dict[str, tuple[int, int, int]]:
        return invariants.world(*(self.base / name for name in OUTSIDE))

    def clear(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    def restore(self, template: Path) -> None:
        """The root as it was kept in `template`; nothing if there is none."""
        self.clear()
        if template.exists():
            shutil.copytree(template, self.root, symlinks=True, dirs_exist_ok=True)

    def keep(self, name: str) -> Path:
        """A copy of the root as it is now."""
        template = self.base / "templates" / name
        shutil.copytree(self.root, template, symlinks=True)
        return template

    def asked(self, path: str = ARCHIVE) -> int:
        """How often the server was asked for a file since `forget`."""
        return sum(entry.path == path for entry in self.server.log)

    def whole_part(self) -> bool:
        """Does an unfinished run leave the whole archive behind, and not one with a hole (`--stream`)?"""
        parts = (self.root / ".aigiqa" / "partial").glob("*.part")
        return any(path.stat().st_size == len(self.packed) and not path.name.startswith("once-") for path in parts)

    def sound(self, good: dict[str, str], *, settled: bool = True) -> None:
        """The invariants, what is published, and the world outside."""
        if self.root.exists():
            invariants.check(self.root, settled=settled)
        if settled:
            found = invariants.tree(self.root)  # what a killed writer left beside its file goes with gc
            assert {path: sha256 for path, sha256 in found.items() if not path.endswith(".tmp")} == good
        assert self.world() == self.outside, "P1: something outside the root was touched"

    def removed(self, good: dict[str, str], *words: str) -> None:
        """Once the record has gone the removal only has to be finished: by the same command, or there is nothing left."""
        assert self.nursery(*words).code in (0, 2)
        self.sweeps(good)

    def heals(self, good: dict[str, str], *words: str) -> Ended:
        """The same command again ends well, asks for nothing that is here, and leaves what a run without faults does."""
        recorded = (self.root / ".aigiqa" / "installed" / f"{NAME}.json").exists()
        complete = {path for path in good if path.startswith(f"{NAME}/")} <= set(invariants.tree(self.root))
        here = self.whole_part() or (recorded and complete)
        self.server.log.clear()
        ended = self.nursery(*words, code=0)
        assert not (here and self.asked()), "P7: bytes that are here were fetched again"
        self.sound(good)
        return ended

    def sweeps(self, good: dict[str, str]) -> None:
        """After gc nothing is left of what was stopped."""
        self.nursery("gc", code=0)
        self.sound(good)
        invariants.check_swept(self.root)


def environment(base: Path) -> dict[str, str]:
    for name in ("home", "tmp", "work"):
        (base / name).mkdir(exist_ok=True)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(base / "home"),
        "TMPDIR": str(base / "tmp"),
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": str(replicas.REPOSITORY),
        "AIGIQA_ROOT": str(base / "root"),
        "AIGIQA_MANIFESTS": str(base / "manifests"),
        "AIGIQA_ALLOW_PRIVATE_HOSTS": "1",
        "AIGIQA_RETRY_SECONDS": "0.001",
    }


@contextmanager
def local(base: Path, prompts: int = 14) -> Iterator[Local]:
    """Everything; 14 prompts make 60 files. The index of the root is made, so that `absent` is a settled state."""
    with FaultServer() as server:
        yield Local(base, server, Nursery(environment(base), base), prompts)

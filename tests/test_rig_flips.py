"""Single bits that flip in installed files: `verify` finds every one (S10)."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest
from conftest import Command
from rigs import Rig

from aigiqa_cli.context import Context
from aigiqa_cli.errors import Fault, IntegrityFault
from aigiqa_cli.manifest.catalogue import Catalogue
from aigiqa_cli.reporting import Silent
from aigiqa_cli.states import DAMAGED, state_of
from aigiqa_cli.steps.fetch import Request, fetch
from aigiqa_cli.steps.verify import require_sound, verify, verify_root
from aigiqa_cli.store import Root, read_record

PNG_SIGNATURE = 8  # bytes: without them it is no PNG, and nothing can be said of its parts


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Context:
    base = tmp_path_factory.mktemp("flips")
    context = Context(Root(base / "root"), Catalogue({}), {}, Silent())
    fetch(context, context.catalogue.database("demo"), Request())
    return context


def flip(path: Path, bit: int) -> None:
    """Through the file, not over it: length and name stay."""
    with path.open("r+b") as stream:
        stream.seek(bit // 8)
        byte = stream.read(1)[0]
        stream.seek(bit // 8)
        stream.write(bytes([byte ^ 1 << bit % 8]))


def places(root: Root) -> list[tuple[Path, int]]:
    """Every installed file and its bits. The root index and the commit record are installed data too."""
    files = [
        path for path in (*sorted((root.path / "demo").rglob("*")), root.index, root.record("demo")) if path.is_file()
    ]
    return [(path, path.stat().st_size * 8) for path in files]


@pytest.mark.rig("flips", sample=200, share=0.5)
@pytest.mark.parametrize("half", range(2))
def test_S10_every_flipped_bit_is_found(installed: Context, rig: Rig, half: int) -> None:
    """Files are chosen evenly, so that small ones and the record get their share; bits by chance."""
    root = installed.root
    files = places(root)
    for _ in range(rig.length):
        path, bits = rig.chance.choice(files)
        bit = rig.chance.randrange(bits)
        flip(path, bit)
        try:
            _seen(installed, path, bit)
        finally:
            flip(path, bit)
        rig.did(found=1)
    assert verify(installed, "demo").findings == ()
    assert verify_root(installed) == []


def _seen(context: Context, path: Path, bit: int) -> None:
    root = context.root
    if path == root.record("demo"):
        return _record_seen(context)
    if path == root.index:
        (finding,) = verify_root(context)
        assert finding.path == "index.csv"
        return None
    found = verify(context, "demo")
    name = f"demo/{path.relative_to(root.path / 'demo').as_posix()}"
    assert [(finding.path, finding.problem) for finding in found.findings] == [(name, "wrong checksum")]
    assert found.findings[0].expected != found.findings[0].found
    first, last = map(int, found.findings[0].bytes.split("-"))
    assert first <= bit // 8 <= last < path.stat().st_size
    assert path.suffix != ".png" or last - first + 1 < path.stat().st_size or bit // 8 < PNG_SIGNATURE
    with pytest.raises(IntegrityFault) as caught:
        require_sound([found], [])
    assert (caught.value.fault, int(caught.value.exit_code)) == ("S10", 4)
    return None


def _record_seen(context: Context) -> None:
    """Also where it only tells of the past: when it was installed, from where, with which notes."""
    with pytest.raises(Fault) as caught:
        read_record(context.root, "demo")
    assert caught.value.fault in ("X01", "X06", "X08", "S23")
    assert int(caught.value.exit_code) in (4, 5)
    assert state_of(context.root, "demo").word == DAMAGED


@pytest.mark.rig("flips-by-command", sample=2)
def test_S10_the_command_names_the_file_and_repairs_it(run: Command, rig: Rig, tmp_path: Path) -> None:
    run("fetch", "demo", code=0)
    root = Root(run.root)
    files = [(path, bits) for path, bits in places(root) if path.is_relative_to(root.path / "demo")]
    whole = {path: path.read_bytes() for path, _ in files}
    for _ in range(rig.length):
        path, bits = rig.chance.choice(files)
        bit = rig.chance.randrange(bits)
        flip(path, bit)
        told = run("verify", "--json", code=4).json()
        name = path.relative_to(run.root).as_posix()
        assert name in [finding["path"] for finding in told["findings"]]
        assert told["error"]["fault"] == "S10"
        run("verify", "--repair", code=0)
        assert {path: path.read_bytes() for path, _ in files} == whole
        rig.did(repaired=1)


def test_S10_two_bits_that_cancel_out_elsewhere(installed: Context, tmp_path: Path) -> None:
    """Swapped blocks, a byte more here and less there: what fools sums of bytes does not fool a hash."""
    copy = tmp_path / "root"
    shutil.copytree(installed.root.path, copy)
    context = Context(Root(copy), Catalogue({}), {}, Silent())
    target = max((copy / "demo" / "images").iterdir(), key=lambda path: path.stat().st_size)
    data = target.read_bytes()
    chance = random.Random(10)
    for _ in range(5):
        at, other = sorted(chance.sample(range(len(data)), 2))
        changed = bytearray(data)
        changed[at], changed[other] = changed[other], changed[at]
        if changed == data:
            continue
        status = target.stat()
        target.write_bytes(changed)
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert [finding.path for finding in verify(context, "demo").findings] == [f"demo/images/{target.name}"]

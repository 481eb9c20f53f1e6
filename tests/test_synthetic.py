from __future__ import annotations

import ast
import csv
import hashlib
import io
import itertools
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from aigiqa_cli import expectations, rules, synthetic
from aigiqa_cli.errors import UsageFault
from aigiqa_cli.manifest.catalogue import Catalogue
from aigiqa_cli.mirrors import builtin
from aigiqa_cli.synthetic.damages import DAMAGES, crop
from aigiqa_cli.synthetic.scenes import ACCENTS, SCENES, paint

# Computed once. If one of these changes, the synthetic database is another one: raise its manifest version.
PINNED = {
    "synthetic.zip": (2_385_758, "4d23a4534fdaa454b8d8b1571f6c188b597f698ed6fa029fcf8b80a0fa5928f7"),
    "synthetic.csv": (5967, "22548e73074397675d5be29f38309cc6b038817760f89818a403573ead0c9cc2"),
}
REPOSITORY = Path(__file__).parent.parent
SYNTHETIC = REPOSITORY / "aigiqa_cli" / "synthetic"


@pytest.fixture(scope="module")
def archive() -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(b"".join(synthetic.stream("synthetic.zip"))))


@pytest.fixture(scope="module")
def labels() -> list[dict[str, str]]:
    text = b"".join(synthetic.stream("synthetic.csv")).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("name", synthetic.FILES)
def test_bytes_are_pinned(name):
    data = b"".join(synthetic.stream(name))
    assert (len(data), hashlib.sha256(data).hexdigest()) == PINNED[name]
    assert len(data) < 2_500_000


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_other_interpreters_write_the_same_bytes(version):
    python = _interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    code = (
        f"import sys, hashlib; sys.path.insert(0, {str(REPOSITORY)!r}); sys.dont_write_bytecode = True\n"
        "from aigiqa_cli import synthetic\n"
        "for name in synthetic.FILES:\n"
        "    data = b''.join(synthetic.stream(name)); print(name, len(data), hashlib.sha256(data).hexdigest())\n"
    )
    done = subprocess.run([python, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{name} {size} {digest}" for name, (size, digest) in PINNED.items()]


def _interpreter(version: str) -> str | None:
    if found := shutil.which(f"python{version}"):
        probe = subprocess.run([found, "-c", ""], capture_output=True, check=False)
        if probe.returncode == 0:
            return found
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    return next((str(path) for path in sorted(pyenv.glob(f"versions/{version}.*/bin/python"))), None)


def test_unknown_file_is_a_usage_fault():
    with pytest.raises(UsageFault, match=r"photos\.zip") as caught:
        synthetic.stream("photos.zip")
    assert "synthetic.zip" in caught.value.hint


def test_archive_has_sixty_pictures_and_four_references(archive, labels):
    assert archive.testzip() is None
    names = archive.namelist()
    assert len(set(names)) == len(names) == 64
    assert {n for n in names if n.startswith("synthetic/images/")} == {f"synthetic/images/{r['name']}" for r in labels}
    references = {f"synthetic/references/{r['reference']}" for r in labels if r["reference"]}
    assert {n for n in names if n.startswith("synthetic/references/")} == references
    assert len(references) == 4
    assert {i.date_time for i in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert {i.compress_type for i in archive.infolist()} == {zipfile.ZIP_STORED}
    assert {i.external_attr >> 16 for i in archive.infolist()} == {0o100644}


def test_every_picture_decodes_and_no_two_are_equal(archive):
    pixels = set()
    for name in archive.namelist():
        with archive.open(name) as stream, Image.open(stream) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "RGB", (128, 96))
            pixels.add(image.tobytes())
            assert "Synthetic" in image.info["Comment"]
    assert len(pixels) == 64


def test_labels_have_the_declared_shape(labels):
    raw = b"".join(synthetic.stream("synthetic.csv"))
    assert b"\r" not in raw
    assert raw.endswith(b"\n")
    assert list(labels[0]) == list(synthetic.COLUMNS)
    assert len({row["name"] for row in labels}) == len(labels) == 60
    assert [bool(row["reference"]) for row in labels] == [False] * 44 + [True] * 16
    prompts = {row["prompt"] for row in labels}
    assert len(prompts) == 14
    assert any("," in p and '"' in p for p in prompts)
    assert any(not p.isascii() for p in prompts)
    for row in labels:
        for column in ("mos_quality", "std_quality", "mos_alignment", "std_alignment"):
            whole, _, digits = row[column].partition(".")
            assert whole.isdigit()
            assert len(digits) == 4
            assert 0 < float(row[column]) < 5


def test_more_damage_is_less_quality_and_disobedience_less_alignment():
    drawn = synthetic.pictures()
    for one, other in itertools.permutations(drawn, 2):
        quality, _, alignment, _ = synthetic.scores(one)
        other_quality, _, other_alignment, _ = synthetic.scores(other)
        if one.level < other.level:
            assert quality > other_quality
        if one.obeys and not other.obeys:
            assert alignment > other_alignment
    assert {p.level for p in drawn} == set(range(7))
    assert sum(not p.obeys for p in drawn) >= 8


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("scene", SCENES)
def test_each_level_departs_further_from_the_undamaged_picture(damage, scene):
    plain = paint(scene, "red", "a test")
    clean = crop(plain)
    worst = max(picture.level for picture in synthetic.pictures())
    departures = [_departure(clean, crop(DAMAGES[damage](plain, level))) for level in range(1, worst + 1)]
    assert departures == sorted(departures)
    assert len(set(departures)) == worst
    assert departures[0] > 0


def _departure(one: bytes, other: bytes) -> int:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("scene", SCENES)
def test_the_colour_word_changes_the_picture(scene):
    drawn = {crop(paint(scene, accent, "a test")) for accent in ACCENTS}
    assert len(drawn) == len(ACCENTS)


@pytest.mark.parametrize("scene", SCENES)
def test_a_scene_leaves_no_pixel_unpainted(scene):
    pixels = crop(paint(scene, "orange", "a test"))
    black = sum(pixels[at : at + 3] == b"\0\0\0" for at in range(0, len(pixels), 3))
    assert black == 0


@pytest.mark.parametrize("module", sorted(SYNTHETIC.glob("*.py")), ids=lambda path: path.name)
def test_only_whole_numbers_and_the_standard_library(module):
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), node.lineno
        assert not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)), node.lineno
        assert not (isinstance(node, ast.Name) and node.id in {"float", "round", "hash", "random"}), node.lineno
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            roots = {(name or "").split(".")[0] for name in names}
            assert roots <= {*sys.stdlib_module_names, "aigiqa_cli"}


def test_manifest_states_the_pins_and_its_expectations_hold():
    database = Catalogue({}).database("demo")
    assert database.synthetic
    assert {asset.name: (asset.bytes, asset.sha256) for asset in database.assets} == PINNED
    found = rules.apply(database, database.labels[0], lambda name: io.BytesIO(b"".join(synthetic.stream(name))))
    assert not found.rejected
    expectations.check(database, database.labels[0], found)
    tasks = [row.fields["task"] for row in found.rows]
    assert tasks == ["t2i"] * 44 + ["i2i"] * 16


def test_builtin_mirror_streams_the_same_bytes_each_time():
    for asset in Catalogue({}).database("demo").assets:
        request = builtin.resolve(asset.mirrors[0])
        assert request.fixed
        assert not request.url
        for _ in range(2):
            assert hashlib.sha256(b"".join(request.stream())).hexdigest() == asset.sha256


def test_builtin_mirror_refuses_an_unknown_file():
    mirror = Catalogue({}).database("demo").assets[0].mirrors[0]
    with pytest.raises(UsageFault):
        builtin.resolve(mirror.model_copy(update={"path": "photos.zip"}))

"""`from aigiqa_cli import load, open_database, catalogue`: what Python users get, held against the files on disk."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from test_house import HEAVY

import aigiqa_cli
from aigiqa_cli import Database, catalogue, load, open_database
from aigiqa_cli.errors import IntegrityFault, UsageFault
from aigiqa_cli.index import COLUMNS, KINDS

SCORES = [name for name, kind in KINDS.items() if kind == "number"]
COUNTS = [name for name, kind in KINDS.items() if kind == "integer"]
TEXTS = [name for name, kind in KINDS.items() if kind == "text"]


@pytest.fixture
def index(ready: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """The index as text, read by somebody else's reader; AIGIQA_ROOT leads to it."""
    monkeypatch.setenv("AIGIQA_ROOT", str(ready))
    monkeypatch.delenv("AIGIQA_MANIFESTS", raising=False)
    return pd.read_csv(ready / "demo/index.csv", dtype=str, keep_default_na=False)


@pytest.fixture
def copy(ready: Path, tmp_path: Path, index: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root of one's own, to be damaged."""
    root = tmp_path / "root"
    shutil.copytree(ready, root)
    monkeypatch.setenv("AIGIQA_ROOT", str(root))
    return root


def files(root: Path) -> Iterator[tuple[str, int]]:
    return ((path.as_posix(), path.stat().st_mtime_ns) for path in sorted(root.rglob("*")))


def test_the_names_cost_nothing_until_they_are_called() -> None:
    code = "import sys; from aigiqa_cli import load, open_database, catalogue; print(*{m.split('.')[0] for m in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & (HEAVY | {"torch", "datasets", "typer", "rich"})


def test_public_names_are_listed_and_others_are_none() -> None:
    assert {"load", "open_database", "catalogue", "Database", "__version__"} <= set(dir(aigiqa_cli))
    with pytest.raises(AttributeError, match="nosuch"):
        aigiqa_cli.nosuch  # noqa: B018


def test_load_is_the_index_with_types(index: pd.DataFrame) -> None:
    table = load()
    assert list(table.columns) == list(COLUMNS)
    for name in SCORES:
        assert table[name].dtype == "float64"
        assert table[name].fillna(-1).tolist() == [float(text) if text else -1 for text in index[name]]
    for name in COUNTS:
        assert table[name].dtype == "Int64"
        assert table[name].tolist() == [int(text) for text in index[name]]
    for name in TEXTS:
        assert table[name].tolist() == index[name].tolist()
    assert table["extra"].tolist() == [json.loads(text or "{}") for text in index["extra"]]
    assert (len(table), table["mos_quality"].isna().sum()) == (60, 0)


def test_load_chooses_rows_and_columns(index: pd.DataFrame, ready: Path) -> None:
    wanted = index[(index["generator"] == "synthetic-atlas") & (index["mos_quality"].astype(float) > 4)]
    table = load("Demo", where="generator = 'synthetic-atlas' AND mos_quality > 4", columns=["image_id", "mos_quality"])
    assert table.columns.tolist() == ["image_id", "mos_quality"]
    assert table["image_id"].tolist() == wanted["image_id"].tolist()
    sides = pd.read_csv(ready / "demo/splits/authors.csv").set_index("image_id")["split"]
    assert load("demo", split="authors").set_index("image_id")["split"].to_dict() == sides.to_dict()
    assert set(load("demo", split="authors:test")["image_id"]) == set(sides[sides == "test"].index)
    assert load("demo", where="mos_quality > 99").empty
    assert load("demo", where="mos_quality > 99")["mos_quality"].dtype == "float64"


@pytest.mark.parametrize(
    ("words", "options", "hint"),
    [
        (["agiqa3k"], {}, "aigiqa fetch agiqa3k"),
        (["dmeo"], {}, "did you mean demo?"),
        (["demo"], {"columns": ["mos_qualty"]}, "mos_quality"),
        (["demo"], {"where": "prompt = (SELECT 1)"}, "columns:"),
        (["demo"], {"split": "nosuch"}, "splits here: authors"),
        (["demo"], {"split": "authors:val"}, "parts: test, train"),
    ],
)
def test_what_cannot_be_loaded_says_what_can(index: pd.DataFrame, words: list[str], options: dict, hint: str) -> None:
    with pytest.raises(UsageFault) as caught:
        load(*words, **options)
    assert hint in caught.value.hint
    assert caught.value.__notes__ == [f"next: {caught.value.hint}"]


def test_nothing_installed(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="nothing is installed"):
        load(root=tmp_path)
    assert catalogue(root=tmp_path).loc["agiqa3k", "state"] == "absent"
    assert not list(tmp_path.iterdir()), "reading writes nothing"


def test_catalogue_knows_the_published_facts(index: pd.DataFrame) -> None:
    known = catalogue()
    assert {"agiqa1k", "agiqa3k", "aigciqa2023", "pku-i2iqa", "pku-aigiqa-4k", "aigiqa20k", "demo"} <= set(known.index)
    third = known.loc["agiqa3k"]
    assert (third["images"], third["generators"], third["dimensions"]) == (2982, 6, ["quality", "alignment"])
    assert (known.loc["demo", "state"], known.loc["agiqa3k", "state"]) == ("installed", "absent")


def test_a_database_shows_itself(index: pd.DataFrame, ready: Path) -> None:
    here = open_database("demo")
    before = list(files(ready))
    assert (here.id, len(here), here.state, here.path) == ("demo", 60, "installed", ready / "demo")
    assert here.dimensions == ("quality", "alignment")
    assert "60 images" in repr(here)
    assert "<th>dimensions</th><td>quality, alignment</td>" in here._repr_html_()
    assert here.labels["image_id"].tolist() == index["image_id"].tolist()
    assert here.cite().startswith("@")
    assert list(files(ready)) == before


def test_splits_by_name(index: pd.DataFrame, ready: Path) -> None:
    splits = open_database("demo").splits
    published = pd.read_csv(ready / "demo/splits/authors.csv")
    assert (list(splits), len(splits), repr(splits)) == (["authors"], 1, "<splits of demo: authors>")
    assert {part: set(images) for part, images in splits["authors"].items()} == {
        part: set(rows["image_id"]) for part, rows in published.groupby("split")
    }
    with pytest.raises(KeyError):
        splits["nosuch"]


def test_images_come_with_scores_and_open(index: pd.DataFrame, ready: Path) -> None:
    pictures = list(open_database("demo").images(split="authors:test"))
    by_id = index.set_index("image_id")
    assert pictures
    for one in pictures:
        row = by_id.loc[one.image_id]
        assert one.path == ready / row["image_path"]
        assert one.reference == (ready / row["reference_path"] if row["reference_path"] else None)
        assert hashlib.sha256(one.path.read_bytes()).hexdigest() == row["sha256"]
        assert one.mos == {d: float(row[f"mos_{d}"]) for d in ("quality", "alignment")}
        assert (one.prompt, one.generator, one.split) == (row["prompt"], row["generator"], "test")
    first = pictures[0]
    assert first.open().size == (int(by_id.loc[first.image_id, "width"]), int(by_id.loc[first.image_id, "height"]))
    shown = Image.open(io.BytesIO(first._repr_png_() or b""))
    assert shown.format == "PNG"
    with pytest.raises(UsageFault, match="has no such file"):
        next(one for one in pictures if one.reference is None).open_reference()
    paired = next(one for one in pictures if one.reference is not None)
    with Image.open(paired.reference) as reference:
        assert paired.open_reference().size == reference.size


def test_a_damaged_image_is_said(copy: Path) -> None:
    first = next(open_database("demo").images())
    assert first.path is not None
    first.path.write_bytes(first.path.read_bytes()[:300])
    with pytest.raises(IntegrityFault) as caught:
        first.open()
    assert caught.value.hint == "aigiqa verify --repair demo"
    first.path.unlink()
    with pytest.raises(Exception, match="No such file"):
        first.open()


def test_a_damaged_index_is_said(copy: Path) -> None:
    (copy / "demo/index.csv").write_text("database\n")
    with pytest.raises(IntegrityFault, match="damaged"):
        open_database("demo")


def test_hostile_text_is_inert_in_notebooks(index: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    here = open_database("demo")
    monkeypatch.setattr(type(here), "title", "<script>alert(1)</script>")
    assert "<script>" not in here._repr_html_()


def test_tensors(index: pd.DataFrame) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    here = open_database("demo")
    with pytest.raises(UsageFault, match="which dimension"):
        here.to_torch()
    with pytest.raises(UsageFault, match="which part"):
        here.to_torch("quality", "authors")
    train = here.to_torch("quality", "authors:train")
    wanted = list(here.images(split="authors:train"))
    assert len(train) == len(wanted)
    item = train[3]
    assert item["image_id"] == wanted[3].image_id
    assert item["score"].item() == pytest.approx(wanted[3].mos["quality"], abs=1e-6)
    width, height = wanted[3].open().size
    assert (item["image"].shape, item["image"].dtype) == ((3, height, width), torch.float32)
    red = wanted[3].open().convert("RGB").getpixel((5, 7))[0]
    assert item["image"][0, 7, 5].item() == pytest.approx(red / 255)
    small = here.to_torch("alignment", "authors:test", transform=lambda picture: torch.tensor(picture.size), unit=True)
    assert "reference" not in item, "only some of these images have one"
    loader = torch.utils.data.DataLoader(small, batch_size=4, num_workers=2)
    batch = next(iter(loader))
    assert batch["image"].shape == (4, 2)
    unit = index.set_index("image_id")["score_alignment"].astype(float)
    assert batch["score"].tolist() == pytest.approx([unit[name] for name in batch["image_id"]], abs=1e-6)


def test_datasets(index: pd.DataFrame) -> None:
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    here = open_database("demo")
    whole = here.to_hf()
    assert isinstance(whole.features["image"], datasets.Image)
    assert whole["image_id"][:] == index["image_id"].tolist()
    assert whole["mos_quality"][:] == index["mos_quality"].astype(float).tolist()
    row = whole[5]
    assert row["image"].size == (int(index["width"][5]), int(index["height"][5]))
    parts = here.to_hf("authors")
    assert {part: len(rows) for part, rows in parts.items()} == here.labels.merge(
        load("demo", split="authors")[["image_id", "split"]], on="image_id"
    )["split_y"].value_counts().to_dict()
    assert len(here.to_hf("authors:test")) == len(parts["test"])


def test_the_readme_tells_the_truth(index: pd.DataFrame) -> None:
    """The README's lines, on the database that is here and with a transform."""
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("datasets", reason="datasets is not installed")
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"^```python\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    known = {"transform": lambda picture: picture.size}
    exec(lines.replace("agiqa3k", "demo").replace("'midjourney'", "'synthetic-atlas'"), known)
    assert len(known["table"]) == (index["generator"] == "synthetic-atlas").sum()
    assert len(known["train"]) == len(known["database"].splits["authors"]["train"])


def test_missing_libraries_are_named(index: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "aigiqa_cli.api.tensors", raising=False)
    monkeypatch.setitem(sys.modules, "datasets", None)
    here = open_database("demo")
    with pytest.raises(ImportError, match=r"pip install .aigiqa\[torch\]"):
        here.to_torch("quality")
    with pytest.raises(ImportError, match=r"pip install .aigiqa\[hf\]"):
        here.to_hf()


def test_labels_alone_have_no_files(tmp_path: Path, run) -> None:
    run("fetch", "demo", "--labels-only", code=0)
    here = open_database("demo", root=run.root)
    assert isinstance(here, Database)
    assert here.state == "labels"
    assert next(here.images()).path is None
    with pytest.raises(UsageFault) as caught:
        next(here.images()).open()
    assert caught.value.hint == "aigiqa fetch demo"

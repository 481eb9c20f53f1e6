"""What is refused before the first epoch, and how it is told; weights that are fetched; predictions of anything."""

from __future__ import annotations

import csv
import hashlib
import io
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import LIMIT, Command
from with_torch import (
    BACKBONES,
    FAST,
    SPLIT,
    Bench,
    bench,
    checkpoint,
    devices,
    learnable_files,
    lent,
    memory,
    model,
    run_folder,
    settings,
    sides,
    small,
    torch,
    training,
    weights,
)

from aigiqa_cli.context import Context
from aigiqa_cli.errors import Fault, MachineFault, RefusedInput, TemporaryFault, UsageFault
from aigiqa_cli.manifest.catalogue import Catalogue
from aigiqa_cli.methods import libraries, published
from aigiqa_cli.partitions.opened import opened
from aigiqa_cli.reporting import Silent
from aigiqa_cli.steps.predict import Request
from aigiqa_cli.steps.predict import predict as predict_step
from aigiqa_cli.steps.train import train as train_step
from aigiqa_cli.store import Root

__all__ = ["bench", "learnable_files"]

QUALITY = ("-d", "quality", "-s", SPLIT, "--epochs", 1)


@pytest.fixture(scope="module")
def trained(bench: Bench) -> Path:
    bench.train("nr", "learnable", *QUALITY, "-o", "run")
    return bench.work / "run"


def refused(root: Path, **wished: Any) -> Fault:
    """The fault of these settings, where the images are chosen: nothing has been computed yet."""
    chosen = settings.Settings(
        **{"method": "nr", "database": "demo", "dimension": "quality", "split": "authors"} | wished
    )
    here = opened(Root(root), chosen.database)
    with pytest.raises(Fault) as caught:
        sides.sides(Root(root), here, chosen.checked())
    return caught.value


# --- before the first epoch --------------------------------------------------------------------------------------


def test_FR_without_references_is_refused_with_what_to_do(ready: Path) -> None:
    fault = refused(ready, method="fr")
    assert isinstance(fault, UsageFault)
    assert "FR needs a reference of every image, and 44 of demo have none (atlas_normal_000.png, …)" in fault.message
    assert "--where \"task = 'i2i'\"" in fault.hint


@pytest.mark.parametrize(
    ("wished", "message", "hint"),
    [
        ({"dimension": "overall"}, "demo has no scores 'overall'", "dimensions here: quality, alignment"),
        ({"dimension": "extra.final_score"}, "demo has no scores 'extra.final_score'", "dimensions here"),
        ({"dimension": ""}, "which score is learned?", "--dimension"),
        ({"split": "nothing"}, "demo has no split called 'nothing' here", "splits here: authors"),
        ({"split": ""}, "which split is trained on?", "splits here: authors"),
        ({"split": "authors:val"}, "the split authors has no part called 'val'", "parts: train, test"),
        ({"split": "authors:train"}, "authors:train does not leave a part to train on", "parts: train, test"),
        ({"where": "mos_quality > 99"}, "no image of the part test", "other parts"),
        ({"backbone": "resnet34"}, "there is no backbone 'resnet34'", "vgg16, vgg19, resnet18, resnet50, inceptionv4, vit-large"),
        ({"method": "xr"}, "there is no method 'xr'", "nr, fr, pr"),
        ({"protocol": "best"}, "there is no protocol 'best'", "honest, authors"),
        ({"lr": 0.0}, "a learning rate of 0 learns nothing", "--lr"),
        ({"crop": 32}, "resnet50 takes crops of 64 pixels and more", "--crop"),
        ({"backbone": "vit-large", "crop": 112}, "vit-large takes 224 pixels", "--crop"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_told_with_what_is(ready: Path, wished: dict[str, Any], message: str, hint: str) -> None:
    fault = refused(ready, **wished)
    assert isinstance(fault, UsageFault)
    assert message in fault.message
    assert hint in fault.hint


def test_folds_are_trainings_of_their_own(bench: Bench) -> None:
    bench("split", "make", "demo", "--folds", 3, "-o", "folds", code=0)
    error = bench.train("nr", "demo", "-d", "quality", "-s", "folds", "-o", "none", "--json", code=2).json()["error"]
    assert "each of which is a training of its own" in error["message"]
    assert not (bench.work / "none").exists()


def test_labels_alone_cannot_be_trained_on(bench: Bench) -> None:
    root = bench.work / "labels"
    bench("--root", root, "fetch", "demo", "--labels-only", code=0)
    done = bench.train("nr", "demo", "-d", "quality", "-s", "authors", "-o", "none", "--root", root, code=2)
    assert "demo has labels only here" in done.err
    assert "next: aigiqa fetch demo" in done.err


def test_the_parts_of_a_split_with_val_are_taken_as_they_are(ready: Path, tmp_path: Path) -> None:
    with (ready / "demo/index.csv").open(newline="", encoding="utf-8") as stream:
        names = [row["image_id"] for row in csv.DictReader(stream)]
    parts = ["train", "train", "val", "test"]
    lines = [f"{name},{parts[place % 4]}" for place, name in enumerate(names)]
    split = tmp_path / "three.csv"
    split.write_text("\n".join(["image_id,split", *lines]) + "\n")
    chosen = settings.Settings("nr", "demo", "quality", str(split))
    made = sides.sides(Root(ready), opened(Root(ready), "demo"), chosen)
    assert [len(side) for side in (made.train, made.choosing, made.held_out)] == [30, 15, 15]
    assert {one.image_id for one in made.choosing} == {n for p, n in enumerate(names) if parts[p % 4] == "val"}
    assert made.about["choosing"] == "the part val of the split"


def rows_of(root: Path) -> list[dict[str, str]]:
    with (root / "demo/index.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def written(path: Path, sides: dict[str, str]) -> str:
    lines = [f"{name},{side}" for name, side in sides.items()]
    path.write_text("\n".join(["image_id,split", *lines]) + "\n")
    return str(path)


def test_the_leak_that_is_told_is_that_of_the_images_that_are_used(ready: Path, tmp_path: Path) -> None:
    """Image-to-image rows are divided by prompt (four, each with its own reference), of the others every second is held
    out, so that they share all prompts."""
    rows = rows_of(ready)
    edits = [row for row in rows if row["task"] == "i2i"]
    prompts = sorted({row["prompt_id"] for row in edits})
    assert len(prompts) == 4
    out = {row["image_id"] for row in edits if row["prompt_id"] in prompts[:2]}
    out |= {row["image_id"] for number, row in enumerate(one for one in rows if one["task"] == "t2i") if number % 2}
    split = written(tmp_path / "mixed.csv", {n: "test" if n in out else "train" for n in (r["image_id"] for r in rows)})
    here = opened(Root(ready), "demo")
    told = {}
    for task in ("t2i", "i2i"):
        wanted = settings.Settings("nr", "demo", "quality", split, protocol="authors", where=f"task = '{task}'")
        made = sides.sides(Root(ready), here, wanted)
        told[task] = made.about["leak"].partition(":")[0], any(", as far as --where" in note for note in made.notes)
    assert told == {"t2i": ("leaky", True), "i2i": ("clean", False)}


def test_too_few_held_out_images_are_told_before_anything_is_trained(ready: Path, tmp_path: Path) -> None:
    """Four parameters of the logistic go through any four points: evaluate takes five."""
    names = [row["image_id"] for row in rows_of(ready)]
    for count in (4, 5):
        split = written(tmp_path / f"{count}.csv", {n: "train" if p >= count else "test" for p, n in enumerate(names)})
        if count == 4:
            fault = refused(ready, split=split)
            assert (type(fault), "5 are needed" in fault.message) == (UsageFault, True), fault.message
        else:
            wanted = settings.Settings("nr", "demo", "quality", split)
            assert len(sides.sides(Root(ready), opened(Root(ready), "demo"), wanted).held_out) == 5


def test_a_part_kept_back_shares_no_prompt_with_what_is_left(ready: Path) -> None:
    chosen = settings.Settings("nr", "demo", "quality", "authors")
    here = opened(Root(ready), "demo")
    made = sides.sides(Root(ready), here, chosen)
    prompts = [{here.by_id[one.image_id]["prompt_id"] for one in side} for side in (made.train, made.choosing)]
    assert made.choosing
    assert not prompts[0] & prompts[1]
    scores = {one.image_id: one.score for one in made.train}
    assert all(score == float(here.by_id[name]["mos_quality"]) for name, score in scores.items()), "raw MOS, no scaling"


# --- memory ------------------------------------------------------------------------------------------------------

LARGE = memory.Footprint(weights=1_000, kept=100, image=10)


@pytest.mark.parametrize(
    ("batch", "more", "expected"),
    [
        (0, {"pairs": False}, 4_000),
        (8, {"pairs": False}, 4_000 + 8 * 110),
        (8, {"pairs": True}, 4_000 + 16 * 110),
        (8, {"pairs": False, "training": False}, 1_000 + 8 * 110),
        (8, {"pairs": False, "half": True}, 4_000 + 8 * 60),
    ],
)
def test_what_a_batch_needs_is_weights_gradients_moments_and_what_each_image_leaves(
    batch: int, more: dict[str, bool], expected: int
) -> None:
    assert memory.needed(LARGE, batch, **more) == expected + memory.RESERVE  # type: ignore[arg-type]


def test_a_batch_that_does_not_fit_is_told_with_one_that_does() -> None:
    free = memory.needed(LARGE, 5, pairs=True)
    memory.demand(LARGE, free, 5, pairs=True)
    memory.demand(LARGE, None, 5_000, pairs=True)
    with pytest.raises(MachineFault, match="a batch of 8 needs about") as caught:
        memory.demand(LARGE, free, 8, pairs=True)
    assert caught.value.hint == "--batch 5 fits"
    with pytest.raises(MachineFault) as none:
        memory.demand(LARGE, 1_000, 8, pairs=False)
    assert "smaller backbone" in none.value.hint


def test_the_footprint_of_a_network_is_that_of_its_layers() -> None:
    """VGG-16's convolutions hold 14,714,688 numbers; ResNet-50 keeps far more than its input for the way back."""
    vgg, resnet = devices.footprint(BACKBONES["vgg16"]), devices.footprint(BACKBONES["resnet50"])
    assert vgg.weights == 14_714_688 * 4
    assert vgg.image == resnet.image == 3 * 224 * 224 * 4
    assert 50e6 < resnet.kept < 250e6, "about 22 million activations in float32, some of them twice"
    half = devices.footprint(BACKBONES["resnet50"].cut(112))
    assert 3.5 < resnet.kept / half.kept < 4.5, "a quarter of the pixels"


def test_a_machine_without_room_stops_before_the_first_epoch(bench: Bench) -> None:
    done = bench.train("nr", "learnable", *QUALITY, "--batch", 100_000_000, "-o", "large", "--json", code=7)
    error = done.json()["error"]
    assert (error["kind"], error["fault"]) == ("machine", "S09")
    assert error["hint"].startswith("--batch ")
    assert not (bench.work / "large/config.json").exists()


# --- run folders and checkpoints ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("pr", "learnable", *QUALITY), "another method: nr, not pr"),
        (("nr", "learnable", *QUALITY, "--seed", 5), "another seed: 1, not 5"),
        (("nr", "learnable", *QUALITY, "--batch", 4), "another batch: 8, not 4"),
        (("nr", "demo", "-d", "quality", "-s", "authors", "--epochs", 1), "another database: learnable, not demo"),
    ],
)
def test_a_folder_with_another_training_is_left_alone(
    bench: Bench, trained: Path, words: tuple[Any, ...], told: str
) -> None:
    before = {path.name: path.read_bytes() for path in trained.iterdir()}
    done = bench.train(*words, "-o", "run", code=2)
    assert f"run holds a training with {told}" in done.err
    assert {path.name: path.read_bytes() for path in trained.iterdir()} == before


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageFault, match="is there and holds no training"):
        run_folder.RunFolder(tmp_path).demand({})
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.fixture
def again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The training of `trained` in this process: `again(folder, epochs=1, seed=…)`."""
    monkeypatch.chdir(bench.work)

    def train(folder: Path, epochs: int = 1, **wished: Any) -> Any:
        words: dict[str, Any] = {"backbone": "tiny", "weights": "none"} | wished
        chosen = settings.Settings("nr", "learnable", "quality", SPLIT, **words)
        context = a_context(bench.root, Catalogue(bench.environment))
        return train_step(context, chosen, settings.Effort(epochs), folder)

    return train


@pytest.mark.parametrize("name", ["last", "best"])
def test_a_checkpoint_of_another_training_is_not_taken_up(
    again: Callable[..., Any], trained: Path, tmp_path: Path, name: str
) -> None:
    """Of the same network, put into the folder of this one; before anything is written or trained."""
    folder = tmp_path / "mixed"
    shutil.copytree(trained, folder)
    found = checkpoint.opened(folder / f"{name}.safetensors")
    other = found.about | {"settings": found.about["settings"] | {"seed": 9}}
    checkpoint.save(found.path, found.scorer(), other)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(UsageFault, match=f"{name}.safetensors holds a training with another seed: 9, not 1"):
        again(folder, epochs=2)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_what_an_older_end_left_is_gone_while_a_run_goes_on(
    again: Callable[..., Any], trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "longer"
    shutil.copytree(trained, folder)
    names = {path.name for path in folder.iterdir()}

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", killed)
    with pytest.raises(KeyboardInterrupt):
        again(folder)
    assert {path.name for path in folder.iterdir()} == names, "nothing is to be done: they are of this config"
    with pytest.raises(KeyboardInterrupt):
        again(folder, epochs=2)
    assert {path.name for path in folder.iterdir()} == names - {"predictions.csv", "result.json"}


TOO_LARGE = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
"""


def test_what_a_kill_in_saving_leaves_is_cleared_away(bench: Bench, trained: Path) -> None:
    """Checkpoints are whole networks: a few such kills would fill the disk."""
    folder = bench.work / "cut"
    words = ("train", "nr", "learnable", *QUALITY, *FAST, "-o", "cut")
    with bench.start(*words, prelude=TOO_LARGE) as run:
        run.communicate(timeout=LIMIT)
    assert run.returncode == -signal.SIGXFSZ
    left = {path.name for path in folder.iterdir()} - {"config.json", ".lock"}
    assert len(left) == 2, left
    (folder / "notes.part").write_text("mine")
    (folder / ".last.safetensors.0123456789ab.part").write_text("of the other one")
    bench(*words, code=0)
    assert {path.name for path in folder.iterdir()} == {path.name for path in trained.iterdir()} | {"notes.part"}


def test_a_kill_before_the_first_file_leaves_a_folder_that_can_be_used(tmp_path: Path) -> None:
    folder = run_folder.RunFolder(tmp_path)
    (tmp_path / ".config.json.0123456789ab.part").write_text("{")
    folder.demand({"settings": {}})
    folder.begin({"settings": {}})
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_a_folder_that_is_refused_is_refused_before_weights_are_fetched(
    bench: Bench, again: Callable[..., Any], trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetched(*_: Any) -> None:
        raise AssertionError("weights were fetched for nothing")

    monkeypatch.setattr(weights, "begin", fetched)
    with pytest.raises(UsageFault, match="another weights: none, not hub"):
        again(trained, weights="hub")
    foreign = bench.work / "foreign"
    foreign.mkdir()
    (foreign / "notes.txt").write_text("mine")
    with pytest.raises(UsageFault, match="is there and holds no training"):
        again(foreign, weights="hub")
    done = bench.train("nr", "learnable", *QUALITY, "-o", "foreign", code=2)
    assert "foreign is there and holds no training" in done.err
    assert [path.name for path in foreign.iterdir()] == ["notes.txt"], "not even a lock"


def test_two_commands_do_not_train_into_one_folder(tmp_path: Path) -> None:
    folder = run_folder.RunFolder(tmp_path / "run")
    with folder.held(), pytest.raises(TemporaryFault, match="another aigiqa trains into"), folder.held():
        pass
    with folder.held():
        pass


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    (tmp_path / "text.safetensors").write_text("no checkpoint")
    for name, told in (("other", "is no checkpoint of aigiqa train"), ("text", "cannot be read")):
        with pytest.raises(RefusedInput, match=told):
            checkpoint.opened(tmp_path / f"{name}.safetensors")
    with pytest.raises(UsageFault, match="there is no checkpoint"):
        checkpoint.opened(tmp_path / "nothing.safetensors")


def test_a_checkpoint_with_tensors_of_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    about = {"settings": settings.Settings("nr", "any", "quality", "any", "resnet18", crop=64).as_json()}
    checkpoint.save(path, model.Scorer("nr", BACKBONES["tiny"]), about)
    with pytest.raises(RefusedInput, match="holds tensors of another network than it says"):
        checkpoint.opened(path).scorer()


# --- libraries, device, weights ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", libraries.NEEDED)
def test_a_library_that_is_not_installed_is_named_with_the_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(Fault, match=f"the methods need {name}") as caught:
        libraries.demand_libraries()
    assert (caught.value.exit_code, caught.value.hint) == (3, "pip install 'aigiqa[methods]'")


def test_a_GPU_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageFault, match="there is no GPU"):
        devices.machine("cuda", None)
    assert devices.machine("auto", None).precision == "float32"
    assert devices.machine("cpu", amp=True).precision == "bfloat16"
    with pytest.raises(UsageFault, match="there is no device 'tpu'"):
        settings.device_named("tpu")


def a_context(root: Path, catalogue: Catalogue | None = None, **more: str) -> Context:
    return Context(Root(root), catalogue or Catalogue(), more, Silent())


def test_a_file_of_weights_begins_a_training_and_is_named_with_its_hash(bench: Bench) -> None:
    feature = model.Feature(BACKBONES["tiny"])
    torch.save(feature.body.state_dict() | {"fc.weight": torch.zeros(1000, 96)}, bench.work / "mine.pth")
    digest = hashlib.sha256((bench.work / "mine.pth").read_bytes()).hexdigest()
    words = (
        "train",
        "nr",
        "learnable",
        *QUALITY,
        "--backbone",
        "tiny",
        "-o",
        "filled",
        "--json",
        "--weights",
        "mine.pth",
    )
    assert bench(*words, code=0).json()["data"]["config"]["weights"] == {
        "from": "file", "name": "mine.pth", "sha256": digest,
    }  # fmt: skip


def test_without_a_network_manifest_weights_say_what_else_there_is(bench: Bench) -> None:
    words = ("train", "nr", "learnable", *QUALITY, "--backbone", "tiny", "-o", "absent", "--json")
    error = bench(*words, code=3).json()["error"]
    assert "no manifest here names the file that tiny begins with" in error["message"]
    assert "--weights hub" in error["hint"]


PLAIN = """\
  - name: resnet18-f37072fd.pth
    role: weights
    format: other
    sha256_begins: {begins}
    optional: true
    mirrors:
      - {{kind: http, url: https://files.example.org/weights.pth}}
"""


@pytest.fixture
def with_weights(
    run: Command, learnable_files: tuple[Path, Path, str], manifests: Callable[[str, str], Path]
) -> Callable[[bytes, str], None]:
    """`learnable` on loopback, with weights in its manifest: `with_weights(published, begins)`."""
    archive, table, text = learnable_files

    def put(published: bytes, begins: str) -> None:
        site = run.box.web("files.example.org")
        for name, data in (("learnable.zip", archive.read_bytes()), ("learnable.csv", table.read_bytes())):
            site.put(f"/{name}", data)
        site.put("/weights.pth", published)
        manifests("learnable", text.replace("labels:\n", PLAIN.format(begins=begins) + "labels:\n", 1))

    return put


def resnet() -> bytes:
    target = io.BytesIO()
    torch.save(model.Feature(small()).body.state_dict(), target)
    return target.getvalue()


def test_a_plain_fetch_leaves_weights_where_they_are(run: Command, with_weights: Callable[[bytes, str], None]) -> None:
    data = resnet()
    with_weights(data, hashlib.sha256(data).hexdigest()[:8])
    run("fetch", "learnable", code=0)
    assert not [entry for entry in run.box.log if "weights" in entry.path]
    assert not (run.root / ".aigiqa/weights").exists()
    told = run("fetch", "learnable", "--weights", "--json", code=0).json()["data"][0]["result"]
    path = run.root / ".aigiqa/weights/resnet18-f37072fd.pth"
    assert told["weights"] == [str(path)]
    assert path.read_bytes() == data
    asked = len(run.box.log)
    run("fetch", "learnable", "--weights", code=0)
    assert len(run.box.log) == asked, "what is here and proven is not fetched again"
    path.write_bytes(b"damaged")
    run("fetch", "learnable", "--weights", code=0)
    assert path.read_bytes() == data
    run("gc", code=0)
    run("verify", code=0)
    assert path.exists()


def test_weights_whose_hash_begins_otherwise_are_refused(
    run: Command, with_weights: Callable[[bytes, str], None]
) -> None:
    with_weights(resnet(), "f37072fd")
    error = run("fetch", "learnable", "--weights", "--json", code=4).json()["data"][0]["error"]
    assert "expected f37072fd…" in error["message"]
    assert not (run.root / ".aigiqa/weights/resnet18-f37072fd.pth").exists()
    error = run("fetch", "learnable", "--weights", "--require-hashes", "--json", code=4).json()["data"][0]["error"]
    assert error["fault"] == "M10"
    assert "no published hash vouches for resnet18-f37072fd.pth" in error["message"]


def test_a_database_without_weights_says_so_before_it_is_fetched(run: Command) -> None:
    assert "names no weights" in run("fetch", "demo", "--weights", code=2).err
    assert not (run.root / "demo").exists()


def test_weights_of_the_hub_are_those_that_timm_names(at_box: dict[str, str], box: Any, tmp_path: Path) -> None:
    from safetensors.torch import save

    feature = model.Feature(small())
    data = save({name: tensor + 1 for name, tensor in feature.body.state_dict().items()})
    site = box.web("hub.example.org")
    site.put("/timm/resnet18.tv_in1k/resolve/main/model.safetensors", data)
    context = a_context(tmp_path / "root", **at_box, HF_ENDPOINT="https://hub.example.org")
    path = published.obtain(context, BACKBONES["resnet18"], "hub")
    assert path.read_bytes() == data
    weights.load(path, feature, BACKBONES["resnet18"])
    assert float(feature.body.bn1.weight[0].detach()) == 2


def test_without_a_network_the_hub_says_what_else_there_is(bench: Bench) -> None:
    words = (
        "train",
        "nr",
        "learnable",
        *QUALITY,
        "--backbone",
        "resnet18",
        "--crop",
        64,
        "-o",
        "hub",
        "--weights",
        "hub",
    )
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "AIGIQA_ALLOW_PRIVATE_HOSTS": "1", "AIGIQA_RETRY_SECONDS": "0.01"}
    error = bench(*words, "--json", code=6, env=nowhere).json()["error"]
    assert "resnet18.tv_in1k.safetensors" in error["message"]
    assert error["hint"].endswith("or --weights FILE, a file of yours, or --weights none")


def test_every_backbone_has_its_weights_in_a_manifest() -> None:
    """Six files; the digits in five of the names begin their hash."""
    catalogue = Catalogue()
    context = a_context(Path("unused"), catalogue)
    found = {}
    for name in ("vgg16", "vgg19", "resnet18", "resnet50", "inceptionv4", "vit-large"):
        named = published._named(context, BACKBONES[name])
        assert named is not None, name
        found[name] = named[1]
    for name, asset in found.items():
        assert asset.optional
        assert asset.role == "weights"
        if name != "vit-large":
            digits = asset.name.removesuffix(".pth").rpartition("-")[2]
            assert (asset.sha256 or asset.sha256_begins).startswith(digits)
    assert found["inceptionv4"].sha256 == ""


# --- predictions -------------------------------------------------------------------------------------------------


def test_predictions_of_the_held_out_part_are_those_of_the_training(bench: Bench, trained: Path) -> None:
    done = bench("predict", "run", "learnable", "--split", f"{SPLIT}:test", code=0)
    assert done.out == (trained / "predictions.csv").read_text()
    assert "40 images, quality, by nr-tiny trained on learnable" in done.err


def test_another_database_and_a_folder_can_be_predicted(bench: Bench, trained: Path) -> None:
    data = bench("predict", "run", "demo", "-o", "demo.csv", "--json", code=0).json()["data"]
    assert (data["images"], data["trained_on"], data["path"]) == (60, "learnable", "demo.csv")
    evaluated = bench("evaluate", "demo", "demo.csv", "-d", "quality", "--json", code=0).json()["data"]
    assert evaluated["results"][0]["n"] == 60
    folder = bench.work / "Pictures/below"
    folder.mkdir(parents=True)
    for name in ("atlas_normal_000.png", "delta_edit_010.png"):
        shutil.copy(bench.root / "demo/images" / name, folder)
    (folder / "notes.txt").write_text("no picture")
    out = bench("predict", "run/best.safetensors", "Pictures", code=0).out
    rows = list(csv.reader(io.StringIO(out)))
    whole = dict(line.split(",") for line in (bench.work / "demo.csv").read_text().splitlines())
    assert [row[0] for row in rows] == ["image_id", "below/atlas_normal_000.png", "below/delta_edit_010.png"]
    for name, score in rows[1:]:
        assert float(score) == pytest.approx(float(whole[name.removeprefix("below/")]), abs=1e-4)


def test_FR_predicts_nothing_without_references(bench: Bench, tmp_path: Path) -> None:
    about = {"settings": settings.Settings("fr", "any", "quality", "any", "tiny").as_json()}
    checkpoint.save(bench.work / "fr.safetensors", model.Scorer("fr", BACKBONES["tiny"]), about)
    (bench.work / "empty").mkdir(exist_ok=True)
    assert "there is no picture in" in bench("predict", "fr.safetensors", "empty", code=2).err
    (bench.work / "one").mkdir(exist_ok=True)
    shutil.copy(bench.root / "demo/images/atlas_normal_000.png", bench.work / "one")
    assert "FR needs a reference of every image" in bench("predict", "fr.safetensors", "one", code=2).err
    done = bench("predict", "fr.safetensors", "demo", code=2)
    assert "FR needs a reference of every image, and 44 of demo have none" in done.err
    assert bench("predict", "fr.safetensors", "demo", "--where", "task = 'i2i'", code=0).out.count("\n") == 17


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("predict", "nowhere", "demo"), "there is no checkpoint nowhere"),
        (("predict", "run", ".", "--split", "authors"), "is a folder, which has no splits"),
        (("predict", "run", "demo", "--where", "mos_quality > 99"), "no image of demo is left"),
        (("predict", "run", "demo", "--split", "nothing"), "demo has no split called 'nothing' here"),
    ],
)
def test_predictions_that_cannot_be_had(bench: Bench, trained: Path, words: tuple[str, ...], told: str) -> None:
    done = bench(*words, code=2)
    assert told in done.err


def test_predictions_are_in_the_envelope_where_no_file_is_named(bench: Bench, trained: Path) -> None:
    data = bench("predict", "run", "learnable", "--split", f"{SPLIT}:test", "--json", code=0).json()["data"]
    with (trained / "predictions.csv").open(newline="", encoding="utf-8") as stream:
        expected = [{"image_id": row["image_id"], "nr-tiny": float(row["nr-tiny"])} for row in csv.DictReader(stream)]
    assert (data["path"], data["scores"]) == (None, expected)


@pytest.mark.parametrize(
    ("trained_in", "wished", "expected"),
    [("bfloat16", None, "bfloat16"), ("float32", None, "float32"), ("bfloat16", False, "float32")],
)
def test_the_precision_is_that_of_the_training(
    trained: Path, tmp_path: Path, ready: Path, trained_in: str, wished: bool | None, expected: str
) -> None:
    found = checkpoint.opened(trained / "best.safetensors")
    checkpoint.save(tmp_path / "best.safetensors", found.scorer(), found.about | {"precision": trained_in})
    (tmp_path / "one").mkdir()
    shutil.copy(ready / "demo/images/atlas_normal_000.png", tmp_path / "one")
    request = Request(device="cpu", amp=wished)
    assert predict_step(a_context(ready), tmp_path, tmp_path / "one", request).precision == expected


def test_the_commands_lend_no_torch_to_the_others(bench: Bench) -> None:
    code = (
        "import sys; sys.argv = ['aigiqa', 'train', '--help']\n"
        "import aigiqa_cli.cli.commands.train, aigiqa_cli.cli.commands.predict, aigiqa_cli.cli.commands.fetch\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'torch', 'timm', 'torchvision', 'safetensors'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=lent(bench.environment), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"

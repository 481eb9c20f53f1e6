"""Trainings from end to end: a score that can be learned is learned, the same twice, and the same after a kill."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import LIMIT, Done
from with_torch import (
    BACKBONES,
    FAST,
    SPLIT,
    Bench,
    bench,
    checkpoint,
    devices,
    learnable_files,
    model,
    prediction,
    settings,
    torch,
    training,
)

from aigiqa_cli.partitions import Recipe, make
from aigiqa_cli.reporting import Silent

__all__ = ["bench", "learnable_files"]

WORDS = ("nr", "learnable", "-d", "quality", "-s", SPLIT, "--lr", "3e-3", "--epochs", 3)
REACHED = 0.85  # SRCC on the 40 images of 10 held-out prompts; 0.95 here


@pytest.fixture(scope="module")
def trained(bench: Bench) -> dict[str, Any]:
    """What one whole training answers."""
    data: dict[str, Any] = bench.train(*WORDS, "-o", "run", "--json").json()["data"]
    return data


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("predictions.csv", "curve.csv", "result.json")}


def numbers(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_a_visible_score_is_learned_and_held_out_prompts_show_it(bench: Bench, trained: dict[str, Any]) -> None:
    (result,) = trained["evaluation"]["results"]
    assert (result["n"], result["prompts"], result["split"]) == (40, 10, f"file:{SPLIT}:test")
    assert result["leak"].startswith("clean")
    assert result["srcc"] >= REACHED
    assert result["signature"].startswith("aigiqa:")


def test_the_run_folder_holds_what_it_promises(bench: Bench, trained: dict[str, Any]) -> None:
    folder = bench.work / "run"
    names = {path.name for path in folder.iterdir()} - {".lock"}
    assert names == {
        "config.json", "curve.csv", "best.safetensors", "last.safetensors", "predictions.csv", "result.json",
    }  # fmt: skip
    config = json.loads((folder / "config.json").read_text())
    assert config["sides"]["images"] == {"train": 96, "choosing": 24, "held out": 40}
    assert "kept back from the training part" in config["sides"]["choosing"]
    assert (config["settings"]["protocol"], config["settings"]["seed"]) == ("honest", 1)
    assert (config["weights"], config["precision"], config["processes"]) == ({"from": "none"}, "float32", 1)
    assert set(config["versions"]) >= {"aigiqa", "torch", "timm", "torchvision"}
    curve = numbers(folder / "curve.csv")
    assert [row["epoch"] for row in curve] == ["1", "2", "3"]
    best = max(curve, key=lambda row: float(row["srcc"]))
    assert trained["best"]["epoch"] == int(best["epoch"])
    result = json.loads((folder / "result.json").read_text())
    assert result["evaluation"] == trained["evaluation"]
    assert (result["protocol"], result["leak"]) == ("honest", None)
    modes = {(folder / name).stat().st_mode & 0o777 for name in names}
    assert modes == {0o644}, "others may read all of it"


def test_its_predictions_are_what_evaluate_takes_and_the_signature_holds(bench: Bench, trained: dict[str, Any]) -> None:
    signature = trained["evaluation"]["results"][0]["signature"]
    words = ("evaluate", "--check", signature, "run/predictions.csv", "--split", SPLIT)
    assert bench(*words, code=0).out.startswith("same: ")


def test_the_validation_part_is_a_split_by_prompt_of_the_training_part(bench: Bench, trained: dict[str, Any]) -> None:
    """By the rule of `split make --by prompt --ratio 4:1 --seed 1`, for the rows of the training part alone; the config
    has the hash of who was where."""
    index = numbers(bench.root / "learnable/index.csv")
    parts = {row["image_id"]: row["split"] for row in numbers(bench.work / SPLIT)}
    learned = [row for row in index if parts[row["image_id"]] == "train"]
    made = make(learned, Recipe(by="prompt", ratio=(4, 1), seed=1))[0].parts
    called = {"train": "train", "test": "choosing"}
    sides = {row["image_id"]: called[made[row["image_id"]]] if row in learned else "held out" for row in index}
    prompts: dict[str, set[str]] = {}
    for row in index:
        prompts.setdefault(sides[row["image_id"]], set()).add(row["prompt"])
    assert {side: len(found) for side, found in prompts.items()} == {"train": 24, "choosing": 6, "held out": 10}
    assert len(set.union(*prompts.values())) == 40, "no prompt is on two sides"
    text = "".join(f"{name},{side}\n" for name, side in [("image_id", "split"), *sides.items()])
    assert trained["config"]["sides"]["sides_sha256"] == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("workers", [2])
def test_a_second_run_is_the_same_to_the_last_digit(bench: Bench, trained: dict[str, Any], workers: int) -> None:
    """Also with processes that load the images."""
    bench.train(*WORDS, "--workers", workers, "-o", "again")
    assert files(bench.work / "again") == files(bench.work / "run")
    one, other = (checkpoint.opened(bench.work / name / "best.safetensors") for name in ("run", "again"))
    first, second = one.tensors("model."), other.tensors("model.")
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert first.keys() == second.keys()


def test_another_seed_is_another_training(bench: Bench, trained: dict[str, Any]) -> None:
    bench.train(*WORDS[:-1], 1, "--seed", 2, "-o", "other")
    first = numbers(bench.work / "run/curve.csv")[0]
    assert numbers(bench.work / "other/curve.csv")[0] != first


STOPPED = """
import os
from aigiqa_cli.methods import prediction
whole = prediction.sound
def stopped(batches):
    for batch in whole(batches):
        stopped.seen += 1
        if stopped.seen == {at}:
            os.kill(os.getpid(), {number})
        yield batch
stopped.seen = 0
prediction.sound = stopped
"""
MIDDLE = 20  # of the batches: each epoch has 12 of 8 images, and 2 on which it is chosen


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_a_run_that_was_stopped_in_the_middle_of_an_epoch_ends_as_one_that_was_not(
    bench: Bench, trained: dict[str, Any], number: signal.Signals, code: int
) -> None:
    name = f"broken-{number.name}"
    folder = bench.work / name
    prelude = STOPPED.format(at=MIDDLE, number=int(number))
    with bench.start("train", *WORDS, *FAST, "-o", name, prelude=prelude) as run:
        run.communicate(timeout=LIMIT)
    assert run.returncode == code
    assert len(numbers(folder / "curve.csv")) == 1
    assert not (folder / "predictions.csv").exists()
    done = bench.train(*WORDS, "-o", name)
    assert "epoch 1 of 3" not in done.err, "it begins after the last whole epoch"
    assert "epoch 2 of 3" in done.err
    assert files(folder) == files(bench.work / "run")


def test_moments_come_back_in_the_layout_of_their_parameters(tmp_path: Path) -> None:
    """With channels last, as on a GPU, where the fused kernel of Adam refuses moments with other strides."""

    def made() -> tuple[Any, Any]:
        scorer = model.Scorer("nr", BACKBONES["tiny"]).to(memory_format=torch.channels_last)
        chosen = settings.Settings("nr", "any", "quality", "any", "tiny")
        return scorer, training.optimiser(scorer, chosen, devices.Machine(torch.device("cpu")))

    scorer, adam = made()
    scorer(torch.rand(4, 3, 32, 32)).sum().backward()
    adam.step()
    checkpoint.save(tmp_path / "last.safetensors", scorer, {"settings": {}}, adam)
    _, other = made()
    checkpoint.restore(other, checkpoint.opened(tmp_path / "last.safetensors").tensors(checkpoint.OPTIMISER))
    pairs = zip(other.param_groups[0]["params"], adam.param_groups[0]["params"], strict=True)
    last = 0
    for parameter, (state, before) in ((one, (other.state[one], adam.state[its])) for one, its in pairs):
        last += not parameter.is_contiguous()
        assert state["step"] == 1
        for name in ("exp_avg", "exp_avg_sq"):
            assert state[name].stride() == parameter.stride()
            assert torch.equal(state[name], before[name])
    assert last, "some of them are not laid out as the file has them"


def test_a_finished_run_answers_again_without_training(bench: Bench, trained: dict[str, Any]) -> None:
    before = (bench.work / "run/last.safetensors").stat().st_mtime_ns
    again = bench.train(*WORDS, "-o", "run", "--json").json()["data"]
    assert again["evaluation"] == trained["evaluation"]
    assert (bench.work / "run/last.safetensors").stat().st_mtime_ns == before


def test_the_authors_protocol_says_that_it_leaks(bench: Bench, trained: dict[str, Any]) -> None:
    """The best epoch on the test part itself; best SRCC and best PLCC each by itself, one checkpoint."""
    done = bench.train(*WORDS[:-1], 2, "--protocol", "authors", "-o", "authors", "--json")
    data = done.json()["data"]
    assert "warning: protocol authors: the best epoch is chosen on the very images that are reported" in done.err
    sides = data["config"]["sides"]
    assert (sides["images"], sides["choosing"]) == (
        {"train": 120, "choosing": 40, "held out": 40}, "the part test that is reported",
    )  # fmt: skip
    assert "optimistic" in sides["protocol_leak"]
    curve = numbers(bench.work / "authors/curve.csv")
    best, best_plcc = data["best"], data["best"]["best_plcc"]
    assert best["srcc"] == max(float(row["srcc"]) for row in curve)
    assert best_plcc["plcc"] == max(float(row["plcc"]) for row in curve)
    assert data["evaluation"]["results"][0]["srcc"] == pytest.approx(best["srcc"], abs=1e-9)
    assert not list((bench.work / "authors").glob("*plcc*"))
    result = json.loads((bench.work / "authors/result.json").read_text())
    assert (
        (result["protocol"], result["leak"]) == ("authors", sides["protocol_leak"]) == (data["protocol"], data["leak"])
    )
    assert result["evaluation"] == data["evaluation"]
    again = bench.train(*WORDS[:-1], 2, "--protocol", "authors", "-o", "authors")
    told = f"best PLCC {best_plcc['plcc']:.4f}, in epoch {best_plcc['epoch']}"
    assert told in again.err
    quiet = bench.train(*WORDS[:-1], 2, "--protocol", "authors", "-o", "authors", "-q")
    leak = quiet.out.split("\t")[-2]
    assert leak.startswith(f"leaky: {sides['protocol_leak']}; its split is clean: ")
    assert told not in quiet.err


def test_a_split_that_leaks_is_told_with_its_overlap(bench: Bench) -> None:
    done = bench.train("nr", "demo", "-d", "quality", "-s", "authors", "--epochs", 1, "-o", "leaky", "--json")
    told = "leaky: 73.3 % of test images share a prompt with train"
    assert f"warning: authors is {told}" in done.err
    data = done.json()["data"]
    assert data["config"]["sides"]["leak"] == data["evaluation"]["results"][0]["leak"] == told


def halves(bench: Bench) -> str:
    """Every second image-to-image image of `demo` on one side."""
    with (bench.root / "demo/index.csv").open(newline="", encoding="utf-8") as stream:
        edits = [row["image_id"] for row in csv.DictReader(stream) if row["task"] == "i2i"]
    lines = [f"{name},{'test' if place % 2 else 'train'}" for place, name in enumerate(edits)]
    (bench.work / "halves.csv").write_text("\n".join(["image_id,split", *lines]) + "\n")
    return "halves.csv"


@pytest.mark.parametrize("method", ["fr", "pr"])
def test_methods_with_image_prompts_run_on_an_image_to_image_database(bench: Bench, method: str) -> None:
    """FR where every image has one, PR where 44 of 60 have none."""
    split = halves(bench) if method == "fr" else "authors"
    words = (
        method,
        "demo",
        "-d",
        "quality",
        "-s",
        split,
        "--protocol",
        "authors",
        "--epochs",
        1,
        "-o",
        method,
        "--json",
    )
    data = bench.train(*words).json()["data"]
    train, held_out = (8, 8) if method == "fr" else (45, 15)
    assert data["config"]["sides"]["images"] == {"train": train, "choosing": held_out, "held out": held_out}
    assert data["evaluation"]["results"][0]["n"] == held_out
    made = checkpoint.opened(bench.work / method / "best.safetensors").tensors("model.regressor.")
    assert tuple(made["0.weight"].shape) == ((96, 192) if method == "fr" else (48, 96))


def together(bench: Bench, *words: object, preludes: Sequence[str] = ("", "")) -> list[Done]:
    """One command as two processes, as torchrun starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    started = []
    for rank, prelude in enumerate(preludes):
        env = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        env |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        started.append(bench.start("train", *words, *FAST, env=env, prelude=prelude))
    ended = [process.communicate(timeout=LIMIT) for process in started]
    return [Done(process.returncode, *streams) for process, streams in zip(started, ended, strict=True)]


def test_two_processes_train_together_and_the_first_alone_writes(bench: Bench) -> None:
    first, second = together(bench, *WORDS[:-1], 2, "-o", "two")
    assert (first.code, second.code) == (0, 0), (first, second)
    assert first.out.startswith("nr-tiny\tquality\t")
    assert "epoch 2 of 2" in first.err
    assert (second.out, "epoch" in second.err) == ("", False)
    config = json.loads((bench.work / "two/config.json").read_text())
    assert config["processes"] == 2
    assert len(numbers(bench.work / "two/predictions.csv")) == 40
    assert len(numbers(bench.work / "two/curve.csv")) == 2


def test_what_two_processes_choose_by_is_what_their_checkpoint_gives(bench: Bench) -> None:
    """BatchNorm's running statistics are those of the images of one process, and only the first's are kept."""
    first, _ = together(bench, *WORDS[:-1], 2, "--protocol", "authors", "-o", "both", "--json")
    data = first.expect(0).json()["data"]
    assert data["evaluation"]["results"][0]["srcc"] == pytest.approx(data["best"]["srcc"], abs=1e-9)


FETCHING = """
from pathlib import Path
from aigiqa_cli.errors import UsageFault
from aigiqa_cli.methods import weights
def begin(context, feature, settings):
    there = Path("fetched").exists()
    Path("fetched").touch()
    Path("fetched-by-{rank}").write_text(str(there))
    raise UsageFault("these weights do not fit")
weights.begin = begin
"""


def test_processes_take_turns_at_fetching_weights(bench: Bench) -> None:
    """The first fetches, the others find; a fault of one leaves none of them waiting."""
    preludes = [FETCHING.format(rank=rank) for rank in range(2)]
    for done in together(bench, *WORDS, "-o", "turns", preludes=preludes):
        assert (done.code, "these weights do not fit" in done.err) == (2, True), done.err
    assert [(bench.work / f"fetched-by-{rank}").read_text() for rank in range(2)] == ["False", "True"]


def test_processes_of_one_machine_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = set(range(12))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: cores, raising=False)
    gpu = torch.device("cuda", 0)
    assert [devices.Machine(gpu, beside=beside).workers(None) for beside in (1, 4, 16)] == [12, 3, 1]
    assert devices.Machine(gpu, beside=4).workers(5) == 5
    assert devices.Machine(torch.device("cpu"), beside=4).workers(None) == 0
    told = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}
    one = devices.machine("cpu", None, told)
    assert (one.rank, one.world, one.local, one.beside) == (5, 8, 1, 4)


def test_progress_of_several_processes_ends_with_the_last_image() -> None:
    """Seven images in batches of two, of three processes: the first has three of them."""
    told: list[int] = []

    class Counting(Silent):
        def advance(self, amount: int = 1) -> None:
            told.append(amount)

    left = 7
    for batch in (2, 1):
        left = prediction.advanced(Counting(), batch * 3, left)
    assert (told, left) == ([6, 1], 0)


def test_what_is_refused_is_refused_by_every_process(bench: Bench, trained: dict[str, Any]) -> None:
    for done in together(bench, *WORDS, "-o", "run"):
        assert done.code == 2
        assert "another processes: 1, not 2" in done.err
        assert "Traceback" not in done.err


def test_a_process_whose_other_half_is_killed_says_so(bench: Bench) -> None:
    killed = STOPPED.format(at=3, number=int(signal.SIGKILL))
    first, second = together(bench, *WORDS, "-o", "half", preludes=("", killed))
    assert second.code == -9
    assert (first.code, "another process of this run has ended" in first.err) == (6, True), first.err

"""What the tests of methods share: the libraries, networks small enough for them, and a database that can be learned.

`learnable` has 160 pictures of 40 prompts by four generators: a smooth gradient in the colours of its prompt, and grain
of one of eight strengths, from which the score is computed. Nothing but the grain tells it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import random
import shutil
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from conftest import IMPORT_PATH, LIMIT, Done
from operators import sitecustomize  # noqa: F401 - before torchvision: see there
from PIL import Image
from tiny import MODELS, SLUGS

OPERATORS = Path(__file__).parent / "operators"
SIDE = 40
PROMPTS = 40
LEVELS = 8
SPLIT = "held-out.csv"


def needed() -> None:
    """Skip the module where the extra `methods` is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries, about one another
        for name in ("torch", "timm", "torchvision", "safetensors"):
            pytest.importorskip(name, reason=f"{name} is not installed (the extra methods)")


needed()

import timm  # noqa: E402 - all of these only where they are installed
import torch  # noqa: E402

from aigiqa_cli.methods import (  # noqa: E402
    checkpoint,
    devices,
    images,
    memory,
    model,
    prediction,
    run_folder,
    settings,
    sides,
    training,
    weights,
)
from aigiqa_cli.methods.backbones import BACKBONES, Backbone  # noqa: E402

__all__ = [
    "BACKBONES", "FAST", "OPERATORS", "SPLIT", "Bench", "bench", "checkpoint", "devices", "images", "learnable_files", "lent", "memory", "model", "name_of",
    "prediction", "run_folder", "score_of", "settings", "sides", "small", "timm", "torch", "training", "weights",
]  # fmt: skip

torch.set_num_threads(1)  # see `lent`
BACKBONES["tiny"] = Backbone("tiny", "test_resnet", 96, "", "", ("fc.",), resize=36, crop=32, least=32)
FAST = ("--backbone", "tiny", "--weights", "none")
# The command with one backbone more: timm's network for tests has a thirtieth of the parameters of a ResNet-18.
COMMAND = """
from aigiqa_cli.methods.backbones import BACKBONES, Backbone
BACKBONES["tiny"] = Backbone("tiny", "test_resnet", 96, "", "", ("fc.",), resize=36, crop=32, least=32)
from aigiqa_cli.cli.main import run
run()
"""


def small(name: str = "resnet18") -> Backbone:
    """The same for crops of 32 pixels."""
    return dataclasses.replace(BACKBONES[name], crop=32, resize=36)


def level_of(number: int) -> int:
    return int(hashlib.sha256(f"level {number}".encode()).hexdigest(), 16) % LEVELS


def score_of(number: int) -> float:
    return 4.8 - 0.6 * level_of(number)


def picture(number: int) -> bytes:
    prompt, level = number % PROMPTS, level_of(number)
    look, grain = random.Random(f"prompt {prompt}"), random.Random(f"grain {number}")
    first, last = ([look.randrange(60, 196) for _ in range(3)] for _ in range(2))
    made = Image.new("RGB", (SIDE, SIDE))
    for y in range(SIDE):
        for x in range(SIDE):
            shade = [a + (b - a) * (x + y) // (2 * SIDE) for a, b in zip(first, last, strict=True)]
            made.putpixel((x, y), tuple(tone + grain.randint(-7 * level, 7 * level) for tone in shade))
    target = io.BytesIO()
    made.save(target, "PNG")
    return target.getvalue()


def name_of(number: int) -> str:
    return f"{MODELS[number // PROMPTS]}_{number % PROMPTS:03}.jpg".replace(".jpg", ".png")


def manifest(archive: bytes, labels: bytes) -> str:
    recode = ", ".join(f"{name}: {slug}" for name, slug in SLUGS.items())
    counts = ", ".join(f"{slug}: {PROMPTS}" for slug in SLUGS.values())
    return f"""\
schema: 1
version: 1
id: learnable
title: Learnable
summary: Invented pictures whose score is how little grain they have.
license: {{spdx: CC0-1.0, scope: everything, source: invented for tests}}
citation: {{key: learnable2026, type: misc, title: Learnable, authors: [Nobody], year: 2026}}
assets:
  - name: learnable.zip
    role: images
    format: zip
    bytes: {len(archive)}
    sha256: {hashlib.sha256(archive).hexdigest()}
    mirrors:
      - {{kind: http, url: https://files.example.org/learnable.zip}}
  - name: learnable.csv
    role: labels
    format: csv
    bytes: {len(labels)}
    sha256: {hashlib.sha256(labels).hexdigest()}
    mirrors:
      - {{kind: http, url: https://files.example.org/learnable.csv}}
labels:
  - needs: [learnable.csv]
    tables: [{{file: learnable.csv, columns: [name, prompt, mos]}}]
    extract: {{name: '^(?P<model>AttnGAN|DALLE2|midjourney|sd1\\.5)_(?P<setting>normal|lowcorr)_'}}
    image: {{id: name, find: ["{{name}}"]}}
    columns: {{prompt: prompt, generator: model, setting: setting, task: {{const: t2i}}}}
    recode: {{generator: {{{recode}}}}}
    scores: {{quality: {{mos: mos, range: [0, 5]}}}}
expect: {{images: {4 * PROMPTS}, rows: {4 * PROMPTS}, prompts: {PROMPTS}, generators: {{{counts}}}}}
"""


@pytest.fixture(scope="session")
def learnable_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """Archive, label table and manifest."""
    folder = tmp_path_factory.mktemp("learnable")
    archive, table = folder / "learnable.zip", folder / "learnable.csv"
    numbers = range(4 * PROMPTS)
    with zipfile.ZipFile(archive, "w") as target:
        for number in numbers:
            target.writestr(zipfile.ZipInfo(name_of(number), (2026, 1, 1, 0, 0, 0)), picture(number))
    rows = [f"{name_of(n)},gradient {n % PROMPTS},{score_of(n):.1f}" for n in numbers]
    table.write_text("\n".join(["name,prompt,mos", *rows]) + "\n")
    return archive, table, manifest(archive.read_bytes(), table.read_bytes())


def lent(environment: Mapping[str, str]) -> dict[str, str]:
    """The same environment with a torchvision that can be imported, and one thread: several that wait for one another
    on a busy machine take a hundred times as long."""
    paths = os.pathsep.join(filter(None, [str(OPERATORS), environment.get("PYTHONPATH", "")]))
    return dict(environment) | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}


class Bench:
    """`bench("train", ...)` runs the command at a root with `learnable` and `demo`, in a folder with SPLIT in it."""

    def __init__(self, base: Path, files: tuple[Path, Path, str], ready: Path) -> None:
        self.work, self.root = base / "work", base / "root"
        shutil.copytree(ready, self.root)
        for folder in (self.work, base / "manifests"):
            folder.mkdir()
        (base / "manifests/learnable.yaml").write_text(files[2])
        self.environment = lent(
            {
                "PATH": os.environ["PATH"],
                "HOME": str(self.work),
                "PYTHONPATH": IMPORT_PATH,
                "AIGIQA_ROOT": str(self.root),
                "AIGIQA_MANIFESTS": str(base / "manifests"),
            }
        )
        self("import", "learnable", files[0], files[1], code=0)
        self("split", "make", "learnable", "--ratio", "3:1", "--seed", 3, "-o", SPLIT, code=0)

    def start(self, *words: object, env: Mapping[str, str] | None = None, prelude: str = "") -> subprocess.Popen[str]:
        """The command, after the code of `prelude`."""
        command = [sys.executable, "-c", prelude + COMMAND, *map(str, words)]
        return subprocess.Popen(
            command, env=self.environment | dict(env or {}), cwd=self.work, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __call__(self, *words: object, code: int | None = None, env: Mapping[str, str] | None = None) -> Done:
        with self.start(*words, env=env) as process:
            out, err = process.communicate(timeout=LIMIT)
        done = Done(process.returncode, out, err)
        return done if code is None else done.expect(code)

    def train(self, *words: object, code: int | None = 0, env: Mapping[str, str] | None = None) -> Done:
        return self("train", *words, *FAST, code=code, env=env)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, learnable_files: tuple[Path, Path, str], ready: Path) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"), learnable_files, ready)

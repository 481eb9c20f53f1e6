"""Functions of the user's and metrics of pyiqa: what they are given, and what they may not answer."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest
from conftest import Command
from PIL import Image

from aigiqa_cli.errors import RefusedInput, TemporaryFault, UsageFault
from aigiqa_cli.scoring import Item, functions, programs, pyiqa_metrics

NUMBER = itertools.count()


@pytest.fixture
def items(tmp_path: Path) -> list[Item]:
    made = []
    for at, side in enumerate((20, 30, 20)):
        path = tmp_path / f"{at}.png"
        Image.new("RGB", (side, side), (51 * at, 0, 0)).save(path)
        made.append(Item(path.name, path, "", f"prompt {at}", path, ""))
    return made


def function(folder: Path, body: str) -> functions.OfFunction:
    """Of a module with a name that no other test has."""
    path = folder / f"mine_{next(NUMBER)}.py"
    path.write_text(body)
    return functions.opened(f"{path}:score", "cpu")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return [1.0]", "it returned 1 scores for 3 images"),
        ("return 0.5", "it returned a float and not a list of 3 numbers"),
        ("return None", "it returned a NoneType and not a list of 3 numbers"),
        ("return {path: 1 for path in paths}", "it returned a dict and not a list of 3 numbers"),
        ("return '123'", "it returned a str and not a list of 3 numbers"),
        ("raise ValueError('no such layer\\nand more')", "ValueError: no such layer ("),
        ("import sys; sys.exit(3)", "SystemExit: 3 ("),
        ("return len(paths) / 0", "ZeroDivisionError: division by zero ("),
    ],
)
def test_a_function_that_does_not_answer_names_the_images(
    tmp_path: Path, items: list[Item], body: str, said: str
) -> None:
    metric = function(tmp_path, f"def score(paths):\n    {body}\n")
    with pytest.raises(RefusedInput) as caught:
        metric.score(items)
    assert "failed on 0.png … 2.png (3 images): " in caught.value.message
    assert said in caught.value.message
    assert [finding.path for finding in caught.value.findings] == ["0.png", "1.png", "2.png"]
    if said.endswith("("):
        assert f"{metric.file}:2)" in caught.value.message


def test_answers_that_are_no_numbers_are_those_of_their_image(tmp_path: Path, items: list[Item]) -> None:
    metric = function(tmp_path, "def score(paths):\n    return [float('nan'), '0.5', None]\n")
    assert metric.score(items) == ["nan is no finite number", "'0.5' is no number", "None is no number"]
    metric = function(tmp_path, "def score(paths):\n    return (float('-inf'), 10**400, [1])\n")
    assert metric.score(items) == ["-inf is no finite number", "a int is no number", "a list is no number"]


def test_arrays_of_numpy_and_generators_are_lists(tmp_path: Path, items: list[Item]) -> None:
    body = "import numpy\ndef score(paths):\n    return numpy.arange(len(paths), dtype='float32') / 4\n"
    assert function(tmp_path, body).score(items) == [0.0, 0.25, 0.5]
    body = "def score(paths):\n    return (True for _ in paths)\n"
    assert function(tmp_path, body).score(items) == [1.0, 1.0, 1.0]


def test_parameters_that_cannot_be_filled(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="cannot be called with a list of paths"):
        function(tmp_path, "def score(paths, threshold):\n    return paths\n")
    assert function(tmp_path, "def score(paths, references):\n    return paths\n").about.needs_reference
    assert not function(tmp_path, "def score(paths, references=None):\n    return paths\n").about.needs_reference
    metric = function(tmp_path, "def score(paths, *, device, **more):\n    return [len(device)] * len(paths)\n")
    assert metric.takes == {"device"}


def test_a_file_here_does_not_stand_in_for_a_library(run: Command) -> None:
    (run.work / "pictures").mkdir()
    Image.new("L", (8, 8), 51).save(run.work / "pictures/a.png")
    (run.work / "scipy.py").write_text("raise SystemError('the wrong one')\n")
    (run.work / "mine.py").write_text("import scipy\ndef score(paths):\n    return [len(scipy.__path__)]\n")
    start = "import sys; sys.path[:] = [p for p in sys.path if p]; from aigiqa_cli.cli.main import run; run()"
    import subprocess

    done = subprocess.run(
        [sys.executable, "-c", start, "score", "pictures", "-m", "mine:score"],
        cwd=run.work, env=run.environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "image_id,mine:score\na.png,1.0\n")


def test_a_line_that_is_too_long_for_the_system(items: list[Item]) -> None:
    many = [Item(f"{n}.png", Path("/" + "x" * 200) / f"{n}.png", "") for n in range(20_000)]
    metric = programs.opened("echo {}", 0, {"PATH": "/usr/bin:/bin"})
    with pytest.raises(RefusedInput) as caught:
        metric.score(many)
    assert caught.value.hint == "a smaller --batch makes the line shorter"


def test_what_runs_for_each_image_is_certain_image_by_image(tmp_path: Path, items: list[Item]) -> None:
    """The third run fails: the scores of the first two stand."""
    script = tmp_path / "one.sh"
    script.write_text('case "$1" in *2.png) exit 9;; esac; echo 0.5\n')
    metric = programs.opened(f"sh {script} --image={{path}}", 0, {"PATH": "/usr/bin:/bin"})
    kept: list[tuple[str, float]] = []
    with pytest.raises(RefusedInput, match=r"one failed on 2\.png: it ended with exit status 9"):
        metric.stream(items, lambda item, score: kept.append((item.image_id, score)))
    assert kept == [("0.png", 0.5), ("1.png", 0.5)]


def test_answers_are_found_by_path_with_blanks(tmp_path: Path) -> None:
    items = [Item("a b.png", tmp_path / "a b.png", ""), Item("c.png", tmp_path / "c.png", "")]
    text = f"{tmp_path}/c.png\t0.25\n\n{tmp_path}/a b.png 1e-3\n"
    kept: list[tuple[str, float]] = []
    keep = lambda item, score: kept.append((item.image_id, score))  # noqa: E731
    assert programs.answers(text.splitlines(keepends=True), items, keep) == {1: 0.25, 0: 0.001}
    lines = ['{"path": "c.png", "score": 2}\n', '{"image_id": "a b.png", "score": NaN}\n']
    assert programs.answers(lines, items, keep) == {1: 2.0, 0: "nan is no finite number"}
    assert kept == [("c.png", 0.25), ("a b.png", 0.001), ("c.png", 2.0)]
    assert programs.answers([lines[0], "a b.png 0.12"], items, keep) == {1: 2.0, 0: 0.12}
    assert kept.pop() == ("c.png", 2.0), "the last line has no end, so digits may be missing"
    assert programs.answers(["1\n", "2\n"], items, keep) == {0: 1.0, 1: 2.0}
    assert len(kept) == 3, "without a name nothing is certain before the end"


PYIQA = '''\
"""A stand-in with the interface of pyiqa 0.1.16: create_metric, list_models, metric_mode, lower_better, score_range."""
import torch

__version__ = "0.0-double"
MODES = {"mean": "NR", "mse": "FR", "single": "NR", "tall": "NR", "clipscore": "NR", "weights": "NR", "fails": "NR", "fid": "NR"}
CALLS = []

def list_models(metric_mode=None, filter="", exclude_filters=""):
    return sorted(MODES)

class Metric(torch.nn.Module):
    def __init__(self, name, device):
        super().__init__()
        self.name, self.metric_mode, self.lower_better = name, MODES[name], name == "mse"
        self.score_range = "0, 1"

    def forward(self, target, ref=None, **kwargs):
        assert target.dim() == 4 and target.shape[1] == 3 and target.dtype == torch.float32
        assert 0 <= target.min() and target.max() <= 1
        CALLS.append(tuple(target.shape))
        if self.metric_mode == "FR":
            assert ref.shape == target.shape
            return ((target - ref) ** 2).mean(dim=(1, 2, 3))
        if self.name == "single":
            assert target.shape[0] == 1
        if self.name == "fails" and target.max() > 0.3:
            raise RuntimeError("too red\\nfor this network")
        if self.name == "clipscore":
            return torch.tensor([float(len(text)) for text in kwargs["caption_list"]])
        means = target.mean(dim=(1, 2, 3))
        return (means.reshape(-1, 1), None) if self.name == "tall" else means

def create_metric(metric_name, as_loss=False, device=None, **kwargs):
    print(f"Loading pretrained model {metric_name}")
    if metric_name == "weights":
        raise OSError("<urlopen error [Errno -3] Temporary failure in name resolution>")
    return Metric(metric_name, device).to(device)
'''


@pytest.fixture
def pyiqa(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    pytest.importorskip("torch")
    folder = tmp_path / "library"
    folder.mkdir()
    (folder / "pyiqa.py").write_text(PYIQA)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "pyiqa", raising=False)
    import pyiqa  # type: ignore[import-not-found]

    yield pyiqa
    sys.modules.pop("pyiqa")


def test_images_of_one_size_are_given_to_pyiqa_together(pyiqa, items: list[Item]) -> None:
    """Red is 0, 51 and 102 of 255 in one of three channels: means 0, 1/15, 2/15."""
    metric = pyiqa_metrics.opened("pyiqa:mean", "cpu")
    assert metric.score(items) == pytest.approx([0, 1 / 15, 2 / 15])
    assert sorted(pyiqa.CALLS) == [(1, 3, 30, 30), (2, 3, 20, 20)]
    assert (metric.about.better, metric.about.range, metric.about.needs_reference) == ("higher", "0, 1", False)
    assert pyiqa_metrics.opened("pyiqa:tall", "cpu").score(items) == pytest.approx([0, 1 / 15, 2 / 15])
    assert pyiqa_metrics.opened("pyiqa:single", "cpu").score(items) == pytest.approx([0, 1 / 15, 2 / 15])


def test_pyiqa_gets_references_of_the_size_of_the_image(pyiqa, items: list[Item], tmp_path: Path) -> None:
    reference = tmp_path / "reference.png"
    Image.new("RGB", (40, 40)).save(reference)
    metric = pyiqa_metrics.opened("pyiqa:mse", "cpu")
    assert (metric.about.better, metric.about.needs_reference) == ("lower", True)
    asked = [Item(item.image_id, item.path, "", "", reference) for item in items]
    assert metric.score(asked) == pytest.approx([0, 0.2**2 / 3, 0.4**2 / 3])


def test_pyiqa_gets_prompts_where_it_wants_them(pyiqa, items: list[Item]) -> None:
    assert pyiqa_metrics.opened("pyiqa:clipscore", "auto").score(items) == [8.0, 8.0, 8.0]


def test_pyiqa_that_fails_fails_on_one_image(pyiqa, items: list[Item]) -> None:
    """The third image is too red; the first, of the same size, is then asked for alone."""
    found = pyiqa_metrics.opened("pyiqa:fails", "cpu").score(items)
    assert found == [0, pytest.approx(1 / 15), "RuntimeError: too red"]


def test_pyiqa_reads_no_broken_image(pyiqa, items: list[Item]) -> None:
    items[2].path.write_bytes(b"\x89PNG\r\n\x1a\n")
    found = pyiqa_metrics.opened("pyiqa:mean", "cpu").score(items)
    assert found[:2] == pytest.approx([0, 1 / 15])
    assert isinstance(found[2], str)


def test_what_pyiqa_cannot_do(pyiqa) -> None:
    with pytest.raises(UsageFault, match="measures sets of images"):
        pyiqa_metrics.opened("pyiqa:fid", "cpu")
    with pytest.raises(UsageFault, match="pyiqa has no metric 'meen'") as unknown:
        pyiqa_metrics.opened("pyiqa:meen", "cpu")
    assert "pyiqa:mean" in unknown.value.hint
    with pytest.raises(TemporaryFault, match="cannot be made ready: OSError: <urlopen error") as lacking:
        pyiqa_metrics.opened("pyiqa:weights", "cpu")
    assert "TORCH_HOME" in lacking.value.hint
    import torch

    if not torch.cuda.is_available():
        with pytest.raises(UsageFault, match="no CUDA device"):
            pyiqa_metrics.opened("pyiqa:mean", "cuda")


def test_pyiqa_on_the_command_line(run: Command, pyiqa, tmp_path: Path, items: list[Item]) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for item in items:
        item.path.rename(folder / item.path.name)
    known = {"PYTHONPATH": f"{tmp_path / 'library'}:{run.environment.get('PYTHONPATH', '')}"}
    done = run("score", folder, "-m", "pyiqa:mean", env=known, code=0)
    values = [line.split(",")[1] for line in done.out.splitlines()]
    assert values[0] == "pyiqa:mean"
    assert list(map(float, values[1:])) == pytest.approx([0, 1 / 15, 2 / 15])
    assert "Loading pretrained model" in done.err
    assert "nearest: pyiqa:mean" in run("score", folder, "-m", "meann", env=known, code=2).err
    told = run("score", "--list", "--json", env=known, code=0).json()["data"]["others"]["pyiqa"]
    assert told == ["pyiqa:" + name for name in sorted(pyiqa.MODES) if name != "fid"]


def test_without_pyiqa_the_hint_says_how_to_get_it(run: Command, tmp_path: Path) -> None:
    if pyiqa_metrics.names():
        pytest.skip("pyiqa is installed here")
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    done = run("score", tmp_path, "-m", "pyiqa:niqe", code=2)
    assert "pyiqa:niqe needs pyiqa, which is not installed" in done.err
    assert "pip install pyiqa" in done.err


def test_the_real_pyiqa(items: list[Item]) -> None:
    """PSNR of pyiqa and PSNR of scikit-image are one formula; neither needs weights."""
    pytest.importorskip("pyiqa", reason="pyiqa is not installed: it brings gigabytes")
    pytest.importorskip("skimage")
    from aigiqa_cli.scoring import MEASURES
    from aigiqa_cli.scoring.measures import BuiltIn

    pairs = [Item(item.image_id, item.path, "", "", items[0].path) for item in items[1:]]
    metric = pyiqa_metrics.opened("pyiqa:psnr", "cpu")
    assert metric.score(pairs) == pytest.approx(BuiltIn(MEASURES["psnr"]).score(pairs), abs=1e-3)


def test_a_metric_that_fails_on_every_image_ends_at_once(run: Command) -> None:
    folder = run.work / "pictures"
    folder.mkdir()
    for at in range(6):
        Image.new("L", (8, 8), at).save(folder / f"{at}.png")
    (run.work / "mine.py").write_text(
        "def score(paths):\n    open('calls', 'a').write('x')\n    return [float('nan')] * len(paths)\n"
    )
    done = run("score", folder, "-m", "mine:score", "--batch", "2", "--allow-missing", code=5)
    assert "mine:score failed on 0.png … 1.png (2 images): nan is no finite number" in done.err
    assert (run.work / "calls").read_text() == "x"


@pytest.mark.parametrize(
    ("name", "given"),
    [
        (name, False)
        for name in ("OPENAI_KEY", "MY_KEY", "KEYS", "DB_PASS", "PASSPHRASE", "GH_PAT", "HF_AUTH", "X_PASSWD")
    ]
    + [(name, True) for name in ("PATH", "SSH_AUTH_SOCK", "KEYBOARD", "COMPASS", "MONKEY", "PASSENGER", "CUDA_PATH")],
)
def test_K_names_of_secrets(name: str, given: bool) -> None:
    """Of `--command`: what programs get of the environment."""
    assert (name in programs._environment({name: "value", "HOME": "/home"}, ())) is given
    assert name in programs._environment({name: "value"}, (name,))

"""The built-in measures against values worked out by hand, and against their published formulas."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest
from PIL import Image, ImageFilter

from aigiqa_cli.scoring import MEASURES, Item
from aigiqa_cli.scoring.measures import BuiltIn


def score(name: str, path: Path, reference: Path | None = None) -> float | str:
    (found,) = BuiltIn(MEASURES[name]).score([Item(path.name, path, "", "", reference)])
    return found


def saved(folder: Path, picture: Image.Image, name: str = "a.png", **more: object) -> Path:
    path = folder / name
    picture.save(path, **more)
    return path


def grey(rows: list[list[int]]) -> Image.Image:
    picture = Image.new("L", (len(rows[0]), len(rows)))
    picture.putdata([value for row in rows for value in row])
    return picture


def noise(width: int, height: int, seed: int = 1) -> Image.Image:
    chance = random.Random(seed)
    return grey([[chance.randrange(256) for _ in range(width)] for _ in range(height)])


def test_sharpness_of_one_bright_pixel(tmp_path: Path) -> None:
    """The Laplacian is -400 there and 100 at four neighbours: mean 0, variance (160,000 + 4 x 10,000) / 25."""
    rows = [[0] * 5 for _ in range(5)]
    rows[2][2] = 100
    assert score("sharpness", saved(tmp_path, grey(rows))) == pytest.approx(8000)


def test_sharpness_at_the_border_is_mirrored(tmp_path: Path) -> None:
    """A row 0, 10 twice over: the Laplacian is 2 x 10 in the left column and -2 x 10 in the right: variance 400."""
    assert score("sharpness", saved(tmp_path, grey([[0, 10], [0, 10]]))) == pytest.approx(400)


def test_contrast_brightness_and_entropy(tmp_path: Path) -> None:
    halves = saved(tmp_path, grey([[0, 255], [255, 0]]))
    assert score("contrast", halves) == pytest.approx(0.5)
    assert score("brightness", halves) == pytest.approx(0.5)
    assert score("brightness", saved(tmp_path, grey([[51] * 4] * 4), "dark.png")) == pytest.approx(0.2)
    pytest.importorskip("skimage")
    assert score("entropy", halves) == pytest.approx(1)
    assert score("entropy", saved(tmp_path, grey([[0, 80], [160, 240]]), "four.png")) == pytest.approx(2)


def test_luma_is_that_of_601(tmp_path: Path) -> None:
    """Pure green: 0.587 x 255 = 149.7, which is 150 as a whole number."""
    assert score("brightness", saved(tmp_path, Image.new("RGB", (4, 4), (0, 255, 0)))) == pytest.approx(150 / 255)


def test_what_is_transparent_stands_on_white(tmp_path: Path) -> None:
    assert score("brightness", saved(tmp_path, Image.new("RGBA", (4, 4), (0, 0, 0, 0)))) == 1


def test_colorfulness_of_red_and_green(tmp_path: Path) -> None:
    """R - G is 255 and -255: spread 255, mean 0; (R + G) / 2 - B is 127.5 in both: 255 + 0.3 x 127.5."""
    picture = Image.new("RGB", (2, 1))
    picture.putdata([(255, 0, 0), (0, 255, 0)])
    assert score("colorfulness", saved(tmp_path, picture)) == pytest.approx(293.25)
    assert score("colorfulness", saved(tmp_path, Image.new("RGB", (8, 8), (90, 90, 90)))) == 0


def published_jpeg_quality(rows: list[list[int]]) -> float:
    """Wang, Sheikh & Bovik 2002, equations (1) to (7), cell by cell and with the parameters of their section 4."""

    def features(rows: list[list[int]]) -> tuple[float, float, float]:
        width = len(rows[0])
        steps = [[row[n + 1] - row[n] for n in range(width - 1)] for row in rows]
        borders = [abs(row[8 * n - 1]) for row in steps for n in range(1, width // 8)]
        across = sum(borders) / len(borders)
        mean = sum(abs(step) for row in steps for step in row) / (len(steps) * (width - 1))
        changes = sum(row[n] * row[n + 1] < 0 for row in steps for n in range(width - 2))
        return across, (8 * mean - across) / 7, changes / (len(steps) * (width - 2))

    turned = [list(column) for column in zip(*rows, strict=True)]
    b, a, z = ((x + y) / 2 for x, y in zip(features(rows), features(turned), strict=True))
    return -245.8909 + 261.9373 * b ** (-239.8886 / 10000) * a ** (160.1664 / 10000) * z ** (64.2859 / 10000)


def test_jpeg_quality_is_the_published_formula(tmp_path: Path) -> None:
    picture = noise(40, 27)
    data = list(picture.tobytes())
    rows = [data[at : at + 40] for at in range(0, len(data), 40)]
    assert score("jpeg-quality", saved(tmp_path, picture)) == pytest.approx(published_jpeg_quality(rows), rel=1e-12)


def test_jpeg_quality_falls_with_the_quality_of_coding(tmp_path: Path) -> None:
    picture = noise(160, 160).filter(ImageFilter.GaussianBlur(3))
    found = [score("jpeg-quality", saved(tmp_path, picture, f"{q}.jpg", quality=q)) for q in (5, 20, 90)]
    assert found == sorted(found)
    assert found[0] < 6 < found[2]


def test_what_has_no_value_says_why(tmp_path: Path) -> None:
    assert (
        score("jpeg-quality", saved(tmp_path, Image.new("L", (32, 32), 7))) == "a flat image has no gradient to measure"
    )
    small = score("jpeg-quality", saved(tmp_path, noise(15, 40)))
    assert small == "15 x 40 pixels are too few for blocks of 8 x 8"
    broken = saved(tmp_path, noise(64, 64))
    broken.write_bytes(broken.read_bytes()[:200])
    assert "cannot be decoded" in str(score("contrast", broken))


def test_blur_rises_with_blur(tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    picture = noise(64, 64)
    found = [
        score("blur", saved(tmp_path, picture.filter(ImageFilter.GaussianBlur(radius)))) for radius in (0, 1, 2, 4)
    ]
    assert found == sorted(found)
    assert 0 <= float(found[0]) < float(found[3]) <= 1


def test_ssim_and_psnr_by_hand(tmp_path: Path) -> None:
    """Constant images have no variance: SSIM is (2ab + C1) / (a² + b² + C1) with C1 = (0.01 x 255)²; a difference of 1
    everywhere is a mean squared error of 1, so 20 log10(255) dB."""
    pytest.importorskip("skimage")
    one = saved(tmp_path, Image.new("L", (32, 24), 100), "one.png")
    other = saved(tmp_path, Image.new("L", (32, 24), 150), "other.png")
    c1 = 2.55**2
    assert score("ssim", one, other) == pytest.approx((2 * 100 * 150 + c1) / (100**2 + 150**2 + c1))
    assert score("ssim", one, one) == pytest.approx(1)
    next_to = saved(tmp_path, Image.new("L", (32, 24), 101), "next.png")
    assert score("psnr", one, next_to) == pytest.approx(20 * math.log10(255))
    assert score("psnr", one, one) == "the image equals its reference, so PSNR is infinite"


def test_ssim_is_that_of_its_window(tmp_path: Path) -> None:
    """One window: 11 x 11 pixels have a single place where the Gaussian fits; its weighted moments give SSIM."""
    pytest.importorskip("skimage")
    first, second = noise(11, 11, 1), noise(11, 11, 2)
    weights = [math.exp(-((n - 5) ** 2) / (2 * 1.5**2)) for n in range(11)]
    total = sum(weights) ** 2
    cells = [(weights[y] * weights[x] / total, y * 11 + x) for y in range(11) for x in range(11)]
    a, b = list(first.tobytes()), list(second.tobytes())
    mean_a, mean_b = sum(w * a[at] for w, at in cells), sum(w * b[at] for w, at in cells)
    var_a, var_b = (
        sum(w * a[at] ** 2 for w, at in cells) - mean_a**2,
        sum(w * b[at] ** 2 for w, at in cells) - mean_b**2,
    )
    both = sum(w * a[at] * b[at] for w, at in cells) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    expected = (2 * mean_a * mean_b + c1) * (2 * both + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    found = score("ssim", saved(tmp_path, first, "a.png"), saved(tmp_path, second, "b.png"))
    assert found == pytest.approx(expected, rel=1e-9)


def test_an_image_smaller_than_the_window_says_so(tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    assert "win_size" in str(score("ssim", saved(tmp_path, noise(8, 8)), saved(tmp_path, noise(8, 8, 2), "b.png")))


def test_a_reference_is_brought_to_the_size_of_the_image(tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    image = saved(tmp_path, noise(20, 30), "image.png")
    large = noise(40, 60, 2)
    by_hand = saved(tmp_path, large.convert("RGB").resize((20, 30), Image.Resampling.BICUBIC), "small.png")
    assert score("psnr", image, saved(tmp_path, large, "large.png")) == score("psnr", image, by_hand)


def test_every_measure_says_what_it_is() -> None:
    for name, about in MEASURES.items():
        assert about.name == name
        assert about.better in ("higher", "lower", "-")
        assert about.what
        assert about.range
        assert about.source

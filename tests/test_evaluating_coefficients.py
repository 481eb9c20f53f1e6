"""Correlations and errors on raw values, against SciPy, numpy and counting pairs."""

from __future__ import annotations

import bisect
import csv
import itertools
import math

import numpy as np
import pytest
from scipy import stats

from aigiqa_cli.evaluating.coefficients import krcc, mae, plcc, rmse, srcc
from aigiqa_cli.evaluating.samples import Undefined, numbered

CORRELATIONS = (srcc, krcc, plcc)
ERRORS = (rmse, mae)


@pytest.fixture(scope="module")
def quality(shared):
    with (shared / "data/agiqa3k/data.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return np.array([[float(row["mos_align"]), float(row["mos_quality"])] for row in rows]).T


def samples():
    rng = np.random.default_rng(7)
    y = rng.standard_normal(500)
    x = y + rng.standard_normal(500)
    yield "no ties", x, y
    yield "ties in both", np.round(x), np.round(2 * y) / 2
    yield "two values", (x > 0).astype(float), np.round(y, 1)
    yield "falling", -x, y
    yield "far from 0", x + 1e6, y * 1e-6
    yield "two images", x[:2], y[:2]


@pytest.mark.parametrize(("name", "x", "y"), list(samples()), ids=[name for name, *_ in samples()])
def test_raw_values_equal_scipy_and_numpy(name, x, y):
    far = 1e-9 if name == "far from 0" else 1e-12  # the sums of x themselves have lost six digits there
    assert srcc(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert krcc(x, y) == pytest.approx(stats.kendalltau(x, y, variant="b").statistic, abs=1e-12)
    assert plcc(x, y) == pytest.approx(stats.pearsonr(x, y).statistic, abs=far)
    assert rmse(x, y) == pytest.approx(math.sqrt(np.square(x - y).mean()), rel=1e-12)
    assert mae(x, y) == pytest.approx(np.abs(x - y).mean(), rel=1e-12)


def test_published_scores_with_their_ties_equal_scipy(quality):
    x, y = quality
    assert len(set(y)) == 1364, "AGIQA-3K's 2,982 scores of quality take 1,364 values"
    assert srcc(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert krcc(x, y) == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)
    assert plcc(x, y) == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-12)
    assert rmse(x, y) == pytest.approx(np.sqrt(np.mean((x - y) ** 2)), abs=1e-12)
    assert (round(plcc(x, y), 4), round(srcc(x, y), 4)) == (0.8141, 0.7419), "as databases/agiqa3k.md has it"


def test_krcc_is_tau_b_by_counting_pairs():
    rng = np.random.default_rng(1)
    x, y = np.round(rng.standard_normal((2, 60)), 1)
    signs = [(np.sign(a - c), np.sign(b - d)) for (a, b), (c, d) in itertools.combinations(zip(x, y, strict=True), 2)]
    score = sum(one * other for one, other in signs)
    untied = [sum(pair[n] != 0 for pair in signs) for n in (0, 1)]
    assert krcc(x, y) == pytest.approx(score / math.sqrt(untied[0] * untied[1]), abs=1e-12)


def test_krcc_of_20000_images_by_inversions():
    """By insertion into a sorted list: what a table of all 200 million pairs would give."""
    rng = np.random.default_rng(2)
    y = rng.permutation(20_000)
    x = np.argsort(np.argsort(y + rng.standard_normal(20_000) * 5_000))
    seen: list[int] = []
    discordant = 0
    for value in y[np.argsort(x)].tolist():
        discordant += len(seen) - bisect.bisect(seen, value)
        bisect.insort(seen, value)
    pairs = 20_000 * 19_999 / 2
    assert krcc(x, y) == pytest.approx(1 - 2 * discordant / pairs, abs=1e-12)


@pytest.mark.parametrize("measure", CORRELATIONS)
def test_correlations_are_undefined_without_variation(measure):
    for x, y in (([1.0, 1, 1], [1.0, 2, 3]), ([1.0, 2, 3], [0.0, 0, 0]), ([1.0], [2.0]), ([], [])):
        with pytest.raises(Undefined):
            measure(x, y)


def test_two_images_have_a_correlation():
    assert [measure([1, 2], [5, 3]) for measure in CORRELATIONS] == [-1, -1, -1]


@pytest.mark.parametrize("measure", ERRORS)
def test_errors_need_one_image(measure):
    assert measure([1.0], [3.5]) == 2.5
    with pytest.raises(Undefined):
        measure([], [])


@pytest.mark.parametrize("measure", CORRELATIONS + ERRORS)
def test_broken_input_is_no_number(measure):
    for x, y in (
        ([1, 2, math.nan], [1, 2, 3]),
        ([1, 2, 3], [1, math.inf, 3]),
        ([1, 2], [1, 2, 3]),
        ([[1, 2]], [[1, 2]]),
    ):
        with pytest.raises(ValueError, match="expected"):
            measure(x, y)


def test_extreme_scales_do_not_overflow():
    y = np.arange(10.0)
    assert plcc(y * 1e300, y) == pytest.approx(1, abs=1e-12)
    assert plcc(y * 1e-300, y) == pytest.approx(1, abs=1e-12)


def test_labels_are_numbered_in_their_sorted_order():
    numbers, groups = numbered(["b", "a", "c", "a"], 4)
    assert (numbers.tolist(), groups) == ([1, 0, 2, 0], 3)
    with pytest.raises(ValueError, match="expected 3 labels"):
        numbered(["a", "b"], 3)

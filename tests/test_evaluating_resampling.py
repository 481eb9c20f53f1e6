"""Intervals and paired tests: the same numbers as building every resample, and the error rates that they promise."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from aigiqa_cli.evaluating import resampling
from aigiqa_cli.evaluating.chance import Chance
from aigiqa_cli.evaluating.comparing import compare
from aigiqa_cli.evaluating.fits import logistic
from aigiqa_cli.evaluating.resampling import MEASURES, draws, intervals, replicates, statistic
from aigiqa_cli.evaluating.samples import Undefined

# The first words of PCG64 for this seed in numpy's own test data (numpy/random/tests/data/pcg64-testset-1.csv).
SEED, WORDS = 0xDEADBEAF, (0x60D24054E17A0698, 0xD5E79D89856E4F12, 0xD254972FE64BD782)


def sample(seed: int, images: int = 240, prompts: int = 40, *, ties: bool = False):
    """Predictions, scores and prompts of different sizes; the prompts differ in level."""
    rng = np.random.default_rng(seed)
    prompt = rng.integers(0, prompts, images)
    mos = rng.standard_normal(images) + rng.standard_normal(prompts)[prompt]
    x = mos + rng.standard_normal(images)
    if ties:
        x, mos = np.round(x * 2) / 2, np.round(mos, 1)
    return x, mos, [f"prompt {n}" for n in prompt]


def test_draws_are_made_of_the_words_that_numpy_promises():
    assert np.random.PCG64(SEED).random_raw(3).tolist() == list(WORDS)
    assert Chance(SEED).integers(1000, 1, 3).tolist() == [[(word >> 32) * 1000 >> 32 for word in WORDS]]
    shares = [((word >> 11) + 0.5) / 2**53 for word in WORDS]
    np.testing.assert_allclose(Chance(SEED).normals(1, 3)[0], stats.norm.ppf(shares), rtol=1e-12)


def test_a_stream_goes_on_where_it_ended():
    one, other = Chance(5), Chance(5)
    np.testing.assert_array_equal(
        np.concatenate([one.integers(7, 2, 4), one.integers(7, 3, 4)]), other.integers(7, 5, 4)
    )
    with pytest.raises(ValueError, match="choices"):
        one.integers(0, 1, 1)


def test_every_resample_draws_as_many_prompts_as_there_are_whatever_the_block():
    whole = np.concatenate(list(draws(50, 30, seed=3, rows=30)))
    np.testing.assert_array_equal(np.concatenate(list(draws(50, 30, seed=3, rows=7))), whole)
    assert (whole.sum(axis=1) == 50).all()
    assert not np.array_equal(np.concatenate(list(draws(50, 30, seed=4, rows=30))), whole)


@pytest.mark.parametrize("ties", [False, True])
def test_the_values_are_those_of_resamples_that_are_built(ties):
    """Plain pandas and SciPy, a frame for each resample, drawn from the words of the generator by hand."""
    x, mos, prompts = sample(1, ties=ties)
    names, members = np.unique(prompts, return_inverse=True)
    fitted = logistic(x, mos).fitted
    frame = pd.DataFrame({"x": x, "y": mos, "f": fitted}, index=pd.Index(prompts))
    words = np.random.PCG64(11).random_raw(25 * len(names)).reshape(25, -1)
    expected: dict[str, list[float]] = {measure: [] for measure in MEASURES}
    for row in words.tolist():
        chosen = [names[(word >> 32) * len(names) >> 32] for word in row]
        built = pd.concat([frame.loc[[name]] for name in chosen])
        expected["srcc"].append(stats.spearmanr(built["x"], built["y"]).statistic)
        expected["plcc"].append(stats.pearsonr(built["x"], built["y"]).statistic)
        expected["plcc_logistic"].append(stats.pearsonr(built["f"], built["y"]).statistic)
        expected["rmse"].append(math.sqrt(((built["f"] - built["y"]) ** 2).mean()))
        expected["mae"].append((built["f"] - built["y"]).abs().mean())
    statistics = {measure: statistic(measure, x, mos, members, len(names)) for measure in MEASURES}
    found = replicates(statistics, len(names), resamples=25, seed=11, images=len(x))
    for measure in MEASURES:
        np.testing.assert_allclose(found[measure], expected[measure], atol=1e-12, err_msg=measure)
    ends = intervals(x, mos, prompts, resamples=25, seed=11)
    for measure in MEASURES:
        assert ends[measure] == pytest.approx(np.percentile(expected[measure], (2.5, 97.5)), abs=1e-12)


def test_the_block_does_not_change_the_interval(monkeypatch):
    x, mos, prompts = sample(2)
    whole = intervals(x, mos, prompts, resamples=100)
    monkeypatch.setattr(resampling, "BLOCK", 500)
    for measure, ends in intervals(x, mos, prompts, resamples=100).items():
        assert ends == pytest.approx(whole[measure], abs=1e-12)


def test_the_order_of_the_images_does_not_change_the_interval():
    x, mos, prompts = sample(2, ties=True)
    order = np.random.default_rng(0).permutation(len(x))
    whole = intervals(x, mos, prompts, resamples=200)
    other = intervals(x[order], mos[order], [prompts[n] for n in order], resamples=200)
    for measure, ends in whole.items():
        assert other[measure] == pytest.approx(ends, abs=1e-6), measure


def test_independent_images_have_the_interval_of_theory():
    """Of a bivariate normal sample: standard error (1 - rho^2) / sqrt(n) of PLCC."""
    rng = np.random.default_rng(8)
    mos = rng.standard_normal(2000)
    x = 0.8 * mos + 0.6 * rng.standard_normal(2000)
    low, high = intervals(x, mos, list(range(2000)), resamples=1000)["plcc"]
    assert high - low == pytest.approx(2 * 1.96 * (1 - 0.64) / math.sqrt(2000), rel=0.15)


def test_prompts_widen_the_interval():
    """Copies of an image say nothing new: five copies with one prompt have the interval of one."""
    rng = np.random.default_rng(9)
    mos = rng.standard_normal(200)
    x = mos + rng.standard_normal(200)
    alone = intervals(x, mos, list(range(200)))
    copied = intervals(np.repeat(x, 5), np.repeat(mos, 5), np.repeat(np.arange(200), 5))
    for measure in MEASURES:
        assert copied[measure] == pytest.approx(alone[measure], abs=1e-6), measure


def test_20000_images_need_little_memory():
    x, mos, prompts = sample(3, 20_000, 5_000)
    tracemalloc.start()
    found = intervals(x, mos, prompts, resamples=100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert set(found) == set(MEASURES)
    assert peak < 80e6, "one array of 20,000 images and 1,000 resamples would be 160 MB"


def test_one_prompt_has_no_interval():
    with pytest.raises(Undefined, match="one prompt"):
        intervals([1, 2, 3, 4, 5.5], [1, 3, 2, 4, 6], ["a"] * 5)


def test_what_is_undefined_is_left_out():
    assert set(intervals([1, 2, 3, 5], [1, 3, 2, 4], list("aabb"))) == {"srcc", "plcc"}, "no logistic through four"
    assert intervals([1, 1, 1, 1], [1, 3, 2, 4], list("aabb")) == {}
    assert "srcc" not in intervals([1, 2, 3], [2, 1, 3], list("abc")), "a ninth of the resamples is one image"


def test_a_model_is_equal_to_itself():
    x, mos, prompts = sample(4)
    for measure in MEASURES:
        same = compare(x, x, mos, prompts, measure=measure, resamples=50)
        assert (same.difference, same.low, same.high, same.p_value) == (0, 0, 0, 1)
    assert same.clusters == len(set(prompts))


def test_a_comparison_is_the_difference_and_turns_round():
    x, mos, prompts = sample(5)
    other = mos + 1.5 * np.random.default_rng(0).standard_normal(len(x))
    one = compare(x, other, mos, prompts, resamples=300)
    back = compare(other, x, mos, prompts, resamples=300)
    expected = stats.spearmanr(x, mos).statistic - stats.spearmanr(other, mos).statistic
    assert one.difference == pytest.approx(expected, abs=1e-12)
    assert (back.difference, back.low, back.high) == pytest.approx((-one.difference, -one.high, -one.low), abs=1e-12)
    assert back.p_value == pytest.approx(one.p_value, abs=1e-12)
    assert (one.p_value < 0.05) == (not one.low <= 0 <= one.high)


@pytest.mark.parametrize("measure", ["srcc", "plcc"])
def test_equal_models_are_called_equal_in_95_percent_and_a_better_one_better(measure):
    """1,000 pairs of equal models on 60 prompts with 5 images. At 5 % each, 50 are called different on average, and by
    the binomial distribution fewer than 30 or more than 73 in less than one of 1,000 such runs."""
    simulations, prompts, each = 1000, 60, 5
    rng = np.random.default_rng(2024)
    prompt = np.repeat(np.arange(prompts), each)
    different = right = wrong = 0
    for seed in range(simulations):
        mos = rng.standard_normal(len(prompt)) + 0.3 * rng.standard_normal(prompts)[prompt]
        shared = 0.5 * rng.standard_normal(len(prompt))  # what is hard for one is hard for the other
        errors = 0.6 * rng.standard_normal((2, len(prompt))) + 0.5 * rng.standard_normal((2, prompts))[:, prompt]
        first, second = mos + shared + errors
        equal = compare(first, second, mos, prompt, measure=measure, resamples=200, seed=seed)
        different += equal.p_value < 0.05
        if seed < 60:
            worse = mos + shared + 1.8 * errors[1]
            unequal = compare(first, worse, mos, prompt, measure=measure, resamples=200, seed=seed)
            found = unequal.p_value < 0.05
            right += found and unequal.difference > 0
            wrong += found and unequal.difference < 0
    low, high = stats.binom.ppf((0.001, 0.999), simulations, 0.05)
    assert (low, high) == (30, 73)
    assert low <= different <= high
    assert right >= 54
    assert wrong == 0


def test_comparisons_that_cannot_be_made():
    x, mos, prompts = sample(6)
    with pytest.raises(ValueError, match="expected one of"):
        compare(x, x, mos, prompts, measure="krcc")
    with pytest.raises(Undefined):
        compare(x, np.ones(len(x)), mos, prompts)
    with pytest.raises(Undefined, match="one prompt"):
        compare(x, x + mos, mos, ["a"] * len(x))

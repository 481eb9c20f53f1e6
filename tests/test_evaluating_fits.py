"""The one specified logistic and the isotonic curve: invariances, optimality, failure as an error."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit
from scipy.stats import rankdata

from aigiqa_cli.evaluating import logistic_curve
from aigiqa_cli.evaluating.coefficients import plcc, rmse, srcc
from aigiqa_cli.evaluating.fits import isotonic, logistic
from aigiqa_cli.evaluating.samples import FitFailed, Undefined

RELAXED = settings(max_examples=30, deadline=None)


def sample(seed: int, n: int = 200, noise: float = 0.8, shape: str = "linear"):
    """Predictions of a certain shape, and scores on 0-5."""
    rng = np.random.default_rng(seed)
    mos = np.clip(2.5 + rng.standard_normal(n), 0, 5)
    x = mos + noise * rng.standard_normal(n)
    z = (x - x.mean()) / x.std()
    shapes = {
        "linear": x,
        "sigmoid": 1 / (1 + np.exp(-4 * z)),
        "exponential": np.exp(2 * z),
        "coarse": np.round(x * 2) / 2,
        "heavy": z**5,
        "two": (z > 0.3).astype(float),
    }
    return shapes[shape], mos


SHAPES = ("linear", "sigmoid", "exponential", "coarse", "heavy", "two")


@RELAXED
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(6, 120),
    noise=st.floats(0, 4),
    shape=st.sampled_from(SHAPES),
    scale=st.floats(1e-3, 1e3),
    shift=st.floats(-1e3, 1e3),
    sign=st.sampled_from((-1, 1)),
)
def test_fitted_plcc_ignores_shift_scale_and_sign(seed, n, noise, shape, scale, shift, sign):
    x, mos = sample(seed, n, noise, shape)
    assume(np.ptp(x) > 0)
    changed = sign * scale * (x + shift / scale)
    assume(len(set(changed)) == len(set(x)))  # else the shift has swallowed digits, and these are other predictions
    fit, other = logistic(x, mos), logistic(changed, mos)
    assert plcc(other.fitted, mos) == pytest.approx(plcc(fit.fitted, mos), abs=1e-6)
    if abs(srcc(x, mos)) > 1e-9 and srcc(x, mos) * plcc(x, mos) > 1e-9:
        assert other.direction == sign * fit.direction


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("scale", "shift"), [(1, 1000), (-1, 0), (0.01, 0), (37, -5), (-1000, 1)])
def test_fitted_plcc_is_the_same_to_nine_digits(shape, scale, shift):
    x, mos = sample(3, 400, shape=shape)
    expected = plcc(logistic(x, mos).fitted, mos)
    assert plcc(logistic(scale * x + shift, mos).fitted, mos) == pytest.approx(expected, abs=1e-9)


@RELAXED
@given(seed=st.integers(0, 10_000), n=st.integers(5, 120), noise=st.floats(0, 6), shape=st.sampled_from(SHAPES))
def test_fitted_plcc_is_never_below_the_raw_one_and_the_curve_is_monotone(seed, n, noise, shape):
    x, mos = sample(seed, n, noise, shape)
    assume(np.ptp(x) > 0)
    fit = logistic(x, mos)
    assert plcc(fit.fitted, mos) >= abs(plcc(x, mos)) - 1e-12
    rising = fit.fitted[np.argsort(fit.direction * x, kind="stable")]
    assert (np.diff(rising) >= -1e-9).all()
    assert fit.fitted.mean() == pytest.approx(mos.mean(), abs=1e-9), "least squares leaves no bias"


@pytest.mark.parametrize("noise", [0.0, 1e-9, 1e-3, 0.5])
def test_straight_data_are_fitted_by_a_straight_curve(noise):
    """With two asymptotes a logistic cannot be straight, and would fall below the raw coefficient here."""
    x = np.linspace(0, 1, 101)
    y = 3 * x + 1 + noise * np.sin(40 * np.pi * x)
    fit = logistic(x, y)
    assert plcc(fit.fitted, y) >= plcc(x, y)
    if noise == 0:
        np.testing.assert_allclose(fit.fitted, y, atol=1e-7)


@pytest.mark.parametrize(("b3", "b4"), [(0.0, 0.5), (1.2, 0.2), (-2.0, 1.0), (0.3, 0.02)])
def test_scores_on_a_logistic_are_found(b3, b4):
    rng = np.random.default_rng(5)
    x = rng.standard_normal(300) * 3 + 10
    z = (x - x.mean()) / x.std()
    y = 1 + 3 / (1 + np.exp(-(z - b3) / b4))
    fit = logistic(-x, y)
    np.testing.assert_allclose(fit.fitted, y, atol=2e-5)
    assert fit.direction == -1
    *_, curvature, centre = fit.parameters
    assert (curvature, centre) == pytest.approx((1 / (2 * b4), b3), rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("shape", ["linear", "sigmoid", "exponential", "heavy"])
@pytest.mark.parametrize("seed", range(5))
def test_no_free_logistic_is_better(shape, seed):
    """MINPACK on the usual form, unbounded and from many starts: what it reaches, where it ends, is not better."""
    x, mos = sample(seed, 300, shape=shape)
    z = (x - x.mean()) / x.std()
    reached = []
    for centre, width in itertools.product((-1, 0, 1), (0.05, 0.3, 1)):
        start = (mos.max(), mos.min(), centre, width)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a covariance that cannot be had
            try:
                found, _ = curve_fit(_four, z, mos, p0=start, maxfev=3000)
            except RuntimeError:
                continue
            if found[0] >= found[1]:  # the rising ones
                reached.append(rmse(_four(z, *found), mos))
    assert rmse(logistic(x, mos).fitted, mos) <= min(reached, default=np.inf) + 1e-6


def _four(x, b1, b2, b3, b4):
    return b2 + (b1 - b2) / (1 + np.exp(-(x - b3) / abs(b4)))


@pytest.mark.parametrize("fit", [logistic, isotonic])
def test_a_fit_maps_other_predictions(fit):
    x, mos = sample(1)
    made = fit(x, mos)
    np.testing.assert_allclose(made(x), made.fitted, rtol=1e-12)
    between = made(np.linspace(x.min(), x.max(), 1000))
    assert (np.diff(between) >= 0).all()
    falling = fit(-x, mos)(np.linspace(-x.max(), -x.min(), 1000))
    assert (np.diff(falling) <= 0).all()


@RELAXED
@given(seed=st.integers(0, 10_000), n=st.integers(3, 60), noise=st.floats(0, 3), shape=st.sampled_from(SHAPES))
def test_the_isotonic_fit_ignores_every_increasing_map(seed, n, noise, shape):
    x, mos = sample(seed, n, noise, shape)
    assume(np.ptp(x) > 0)
    try:
        expected = isotonic(x, mos)
    except FitFailed:
        return
    for change in (lambda v: v**3, lambda v: np.arctan(v / 10), rankdata, lambda v: 7 * v - 1000):
        if len(set(change(x))) == len(set(x)):
            np.testing.assert_array_equal(isotonic(change(x), mos).fitted, expected.fitted)
    np.testing.assert_allclose(isotonic(-x, mos).fitted, expected.fitted, atol=1e-12)
    if n >= 5 and logistic(x, mos).direction == expected.direction:
        assert plcc(expected.fitted, mos) >= plcc(logistic(x, mos).fitted, mos) - 1e-9


def test_the_isotonic_fit_is_the_minimum_of_maxima():
    """The explicit formula of isotonic regression: max over a <= i of min over b >= i of the mean of y[a..b]."""
    rng = np.random.default_rng(4)
    y = rng.standard_normal(25)
    x = np.arange(25.0)
    y += 0.1 * x
    expected = [max(min(y[a : b + 1].mean() for b in range(i, 25)) for a in range(i + 1)) for i in range(25)]
    np.testing.assert_allclose(isotonic(x, y).fitted, expected, atol=1e-12)


def test_equal_predictions_get_one_isotonic_value():
    fit = isotonic([1, 1, 2, 2, 3], [1, 3, 5, 2, 9])
    np.testing.assert_allclose(fit.fitted, [2, 2, 3.5, 3.5, 9])


def test_a_curve_that_is_not_found_is_an_error(monkeypatch):
    x, mos = sample(0)
    monkeypatch.setattr(logistic_curve, "_follow", lambda *_: None)
    with pytest.raises(FitFailed, match="none of the 4 best starts"):
        logistic(x, mos)


def test_a_flat_isotonic_curve_is_an_error():
    x, y = np.arange(6), [20, 1, 2, 3, 4, 5]
    assert srcc(x, y) > 0
    with pytest.raises(FitFailed, match="flat"):
        isotonic(x, y)


def test_scores_that_neither_rise_nor_fall_have_the_better_of_both_directions():
    x = np.arange(-5.0, 6)
    y = x**2
    assert srcc(x, y) == pytest.approx(0, abs=1e-12)
    fit = logistic(x, y)
    assert plcc(fit.fitted, y) > 0.3
    assert plcc(logistic(-x, y).fitted, y) == pytest.approx(plcc(fit.fitted, y), abs=1e-12)


@pytest.mark.parametrize("fit", [logistic, isotonic])
def test_what_cannot_be_fitted(fit):
    with pytest.raises(Undefined):
        fit(np.ones(9), np.arange(9.0))
    with pytest.raises(Undefined):
        fit(np.arange(9.0), np.ones(9))
    with pytest.raises(ValueError, match="finite"):
        fit([1, 2, 3, 4, np.nan], np.arange(5.0))


def test_four_images_are_too_few_for_four_parameters():
    with pytest.raises(Undefined, match="at least 5"):
        logistic([1, 2, 3, 4], [1, 2, 3, 5])


def test_predictions_at_the_end_of_float64_are_an_error_not_a_number():
    with pytest.raises(FitFailed, match="float64"):
        logistic([-1e308, 0, 1, 2, 3, 1e308], np.arange(6.0))


def test_the_order_of_the_images_does_not_matter():
    x, mos = sample(9, 700, shape="coarse")
    order = np.random.default_rng(0).permutation(700)
    fit, other = logistic(x, mos), logistic(x[order], mos[order])
    np.testing.assert_allclose(other.fitted, fit.fitted[order], atol=1e-6)

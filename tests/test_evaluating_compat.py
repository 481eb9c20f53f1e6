"""What other code bases print, the table of prediction scales, and the main scores of challenges."""

from __future__ import annotations

import csv
import math
import warnings

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import curve_fit

from aigiqa_cli.errors import UsageFault
from aigiqa_cli.evaluating import scales
from aigiqa_cli.evaluating.compat import MODES
from aigiqa_cli.evaluating.mains import MAIN, main
from aigiqa_cli.evaluating.samples import FitFailed, Undefined

FAILS = "Optimal parameters not found"


@pytest.fixture(scope="module")
def quality(shared):
    with (shared / "data/agiqa3k/data.csv").open(newline="", encoding="utf-8") as stream:
        return np.array([float(row["mos_quality"]) for row in csv.DictReader(stream)])


@pytest.fixture(scope="module")
def lines(quality):
    return {line.scale: line for line in scales.table(quality, rank=0.774, seed=1)}


def sample(seed=0, n=300):
    rng = np.random.default_rng(seed)
    mos = np.clip(2.5 + rng.standard_normal(n), 0, 5)
    return mos + 0.7 * rng.standard_normal(n), mos


def test_the_modes_are_the_named_ones_and_explain_themselves():
    assert list(MODES) == ["pyiqa", "dbcnn", "ma-agiqa", "m3", "aigciqa-authors"]
    x, mos = sample()
    for name, mode in MODES.items():
        assert mode.name == name
        assert set(mode.evaluate(x, mos)) == set(mode.prints)
        assert "/" in mode.source
        assert mode.differences
        assert all(one.what and one.why for one in mode.differences)


def test_raw_coefficients_are_those_of_scipy():
    x, mos = sample()
    rho = stats.spearmanr(x, mos).statistic
    tau = stats.kendalltau(x, mos).statistic
    r = stats.pearsonr(x, mos).statistic
    error = math.sqrt(np.mean((x - mos) ** 2))
    found = {name: mode.evaluate(x, mos) for name, mode in MODES.items()}
    for name, key in (("pyiqa", "srcc"), ("dbcnn", "srcc"), ("ma-agiqa", "srcc"), ("m3", "srcc_raw")):
        assert found[name][key] == pytest.approx(rho, abs=1e-12)
        assert found[name][key.replace("srcc", "krcc")] == pytest.approx(tau, abs=1e-12)
    for name, key in (("pyiqa", "plcc"), ("dbcnn", "plcc_raw"), ("m3", "plcc_raw")):
        assert found[name][key] == pytest.approx(r, abs=1e-12)
    authors = {"srcc": rho, "plcc": r, "krcc": tau, "rmse": error}
    assert found["aigciqa-authors"] == pytest.approx(authors, abs=1e-12)
    assert found["pyiqa"]["rmse"] == pytest.approx(math.sqrt(error**2 + 1e-8), abs=1e-12)


def test_only_pyiqa_hides_the_sign():
    x, mos = sample()
    turned = {name: mode.evaluate(-x, mos) for name, mode in MODES.items()}
    assert min(turned["pyiqa"][name] for name in ("srcc", "krcc", "plcc")) > 0
    assert max(turned[name]["srcc"] for name in ("dbcnn", "ma-agiqa", "aigciqa-authors")) < 0
    assert turned["m3"]["srcc_raw"] < 0


def logistic4(x, b1, b2, b3, b4):
    return (b1 - b2) / (1 + np.exp(-(x - b3) / b4)) + b2


def logistic5(x, b1, b2, b3, b4, b5):
    return b1 * (0.5 - 1 / (1 + np.exp(b2 * (x - b3)))) + b4 * x + b5


def published(curve, start, x, mos):
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, _ = curve_fit(curve, x, mos, p0=start, maxfev=10_000)
        return curve(x, *found)


def test_fits_are_those_of_the_published_starts():
    """A second writing of the published rules, with SciPy alone."""
    x, mos = sample()
    top, bottom = mos.max(), mos.min()
    cases = {
        ("pyiqa", "plcc_logistic_4params"): (logistic4, (top, bottom, x.mean(), x.std() / 4)),
        ("pyiqa", "plcc_logistic_5params"): (logistic5, (10, 0, mos.mean(), 0.1, 0.1)),
        ("dbcnn", "plcc"): (logistic5, (10, 0, x.mean(), 0.1, 0.1)),
        ("ma-agiqa", "plcc"): (logistic4, (top, bottom, x.mean(), 0.5)),
        ("m3", "plcc"): (logistic5, (10, 0.1, mos.mean(), 0.1, 0.1)),
    }
    for (mode, value), (curve, start) in cases.items():
        expected = stats.pearsonr(published(curve, start, x, mos), mos).statistic
        assert MODES[mode].evaluate(x, mos)[value] == pytest.approx(expected, abs=1e-6), (mode, value)
    mapped = published(logistic4, (top, bottom, x.mean(), 0.5), x, mos)
    assert MODES["ma-agiqa"].evaluate(x, mos)["rmse"] == pytest.approx(
        math.sqrt(np.mean((mapped - mos) ** 2)), abs=1e-6
    )


def test_a_curve_that_is_not_monotone_repairs_the_order_in_m3():
    """Scores that fall, rise and fall: the raw order is mostly wrong, that of the 5-parameter curve is right."""
    rng = np.random.default_rng(1)
    x = rng.uniform(0, 6, 300)
    mos = logistic5(x, 12, 3, 3, -2.5, 6) + 0.05 * rng.standard_normal(300)
    found = MODES["m3"].evaluate(x, mos)
    assert found["srcc_raw"] < 0.5
    assert found["srcc"] > 0.9


def test_a_fit_that_fails_is_none_with_the_reason(quality):
    x = scales.scales()["exponential"](scales.simulated(quality, rank=0.774, seed=1))
    values, reasons = MODES["m3"].explained(x, quality)
    assert (values["srcc"], values["plcc"], values["krcc"]) == (None, None, None)
    assert values["srcc_raw"] == pytest.approx(0.774, abs=1e-4)
    assert set(reasons) == {"srcc", "plcc", "krcc"}
    assert all(FAILS in reason for reason in reasons.values())


def test_modes_have_no_value_where_there_is_none():
    for mode in MODES.values():
        values, reasons = mode.explained([1, 1, 1], [1, 2, 3])
        assert values["plcc"] is None
        assert reasons["plcc"]
    values, reasons = MODES["dbcnn"].explained([1, 2, 3], [1, 3, 2])
    assert values["plcc"] is None
    assert "fewer than 5 parameters" in reasons["plcc"]
    assert values["srcc"] == pytest.approx(0.5)
    with pytest.raises(ValueError, match="finite"):
        MODES["pyiqa"].evaluate([1, math.nan, 2], [1, 2, 3])


def test_our_fit_on_four_scales_never_fails_and_is_never_below_the_raw_one(lines):
    """The table of design/peers.md, section 5, whose predictions were other draws with the same SRCC."""
    assert list(lines) == ["linear", "saturating sigmoid", "exponential", "linear + 1000"]
    for line in lines.values():
        assert line.srcc == pytest.approx(0.774, abs=1e-4)
        assert line.logistic >= line.raw
        assert line.isotonic == pytest.approx(lines["linear"].isotonic, abs=1e-9)
        assert line.isotonic >= line.logistic
    assert lines["linear + 1000"].logistic == pytest.approx(lines["linear"].logistic, abs=1e-9)
    raw = {name: line.raw for name, line in lines.items()}
    assert raw == pytest.approx(
        {"linear": 0.788, "saturating sigmoid": 0.747, "exponential": 0.358, "linear + 1000": 0.788}, abs=0.03
    )


def test_the_fits_of_others_on_four_scales(lines):
    """As peers.md has it: which fail, and where the others end."""
    assert lines["linear"].theirs["pyiqa 4"] == pytest.approx(0.802, abs=0.01)
    assert lines["linear"].theirs["ma-agiqa"] == pytest.approx(0.802, abs=0.01)
    assert lines["linear"].theirs["m3"] == pytest.approx(0.803, abs=0.01)
    assert [lines["exponential"].theirs[name] for name in ("pyiqa 4", "pyiqa 5", "m3")] == [None] * 3
    assert lines["saturating sigmoid"].theirs["pyiqa 4"] is None
    assert lines["linear + 1000"].theirs["pyiqa 5"] is None
    assert lines["linear + 1000"].theirs["m3"] == pytest.approx(lines["linear"].raw, abs=1e-3)
    for line in lines.values():
        assert line.logistic >= line.theirs["ma-agiqa"] - 1e-6, "the same family, and no better optimum"
        assert line.theirs["aigciqa-a."] == pytest.approx(line.raw, abs=1e-12)


def test_the_printed_table(lines):
    text = scales.printed(list(lines.values()))
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in text.splitlines()]
    assert len(rows) == 6
    assert len({len(row) for row in rows}) == 1
    assert rows[0][:5] == ["prediction scale", "SRCC", "raw PLCC", "**logistic**", "**isotonic**"]
    assert [row[0] for row in rows[2:]] == list(lines)
    assert rows[2][1] == "0.774"
    assert "*fails*" in rows[4]


@pytest.mark.parametrize("rank", [0.3, 0.774, 0.95])
def test_simulated_predictions_have_the_asked_srcc(rank):
    _, mos = sample(n=1000)
    x = scales.simulated(mos, rank=rank)
    assert stats.spearmanr(x, mos).statistic == pytest.approx(rank, abs=1e-4)
    np.testing.assert_array_equal(x, scales.simulated(mos, rank=rank))


def test_an_srcc_that_no_noise_gives_is_an_error():
    with pytest.raises(FitFailed, match="no noise"):
        scales.simulated(np.arange(10.0), rank=-0.9)


def test_main_scores():
    values = {"srcc": 0.9, "plcc": 0.8, "krcc": None}
    assert main("ntire2024", values) == pytest.approx(0.85)
    assert main("vquala", values) == pytest.approx(0.85)
    for name, one in MAIN.items():
        assert one.name == name
        assert one.formula
        assert one.source
        assert one.known
    with pytest.raises(UsageFault, match="no main score 'ntire1999'"):
        main("ntire1999", values)
    with pytest.raises(Undefined, match="vquala needs plcc"):
        main("vquala", {"srcc": 0.5, "plcc": None})

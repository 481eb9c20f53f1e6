"""Floor, ceiling, and the errors that raters leave open: published numbers, hand computation, simulation."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest

from aigiqa_cli.evaluating.bounds import FLOORS, Groups, ceiling, floor
from aigiqa_cli.evaluating.coefficients import plcc, srcc
from aigiqa_cli.evaluating.samples import Undefined
from aigiqa_cli.evaluating.uncertainty import epsilon_rmse, half_widths, outlier_ratio


@pytest.fixture(scope="module")
def labels(shared):
    with (shared / "data/agiqa3k/data.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def groups(rows, column="mos_quality"):
    """AGIQA-3K's file names are generator_setting_prompt.jpg; generators hold dots."""
    known = [row["name"].removesuffix(".jpg").rsplit("_", 2) for row in rows]
    return Groups([float(row[column]) for row in rows], *(list(part) for part in zip(*known, strict=True)))


def named(shared, path):
    with (shared / "data" / path).open(newline="", encoding="utf-8") as stream:
        return {row["name"] for row in csv.DictReader(stream)}


def parts(labels, train, test, column):
    return [groups([row for row in labels if row["name"] in chosen], column) for chosen in (train, test)]


def test_the_floor_on_ten_prompt_disjoint_splits(shared, labels):
    """Mean over IPCE's splits: .721/.804 for generator and setting, .626/.754 for the generator alone."""
    path = shared / "data/agiqa3k/splits/DERIVED_ipce_splits_compact.csv"
    with path.open(newline="", encoding="utf-8") as stream:
        sides = list(csv.DictReader(stream))
    found: dict[str, list[tuple[float, float]]] = {"generator": [], "generator+setting": []}
    for number in range(1, 11):
        train = {row["name"] for row in sides if row[f"split_{number}"] == "train"}
        test = {row["name"] for row in sides} - train
        floors = floor(*parts(labels, train, test, "mos_quality"))
        assert list(floors) == list(FLOORS)
        for name, values in found.items():
            values.append((floors[name].srcc, floors[name].plcc))
            assert floors[name].unseen == 0
        for name in ("prompt", "both"):
            assert (floors[name].srcc, floors[name].unseen) == (None, len(test))
            assert "no prompt" in floors[name].reason
    assert floors["generator"].groups == 6
    assert floors["generator+setting"].groups == 10
    means = {name: tuple(np.round(np.mean(values, axis=0), 3)) for name, values in found.items()}
    assert means == {"generator": (0.626, 0.754), "generator+setting": (0.721, 0.804)}


def test_the_floor_that_shared_prompts_lift(shared, labels):
    """On a leaking split, means of prompts lift alignment to .75/.82 without an image (design/peers.md)."""
    train, test = (named(shared, f"split-files/cmim/agiqa3k/1-{side}.csv") for side in ("train", "val"))
    floors = floor(*parts(labels, train, test, "mos_align"))
    both = floors["both"]
    assert (round(both.srcc, 2), round(both.plcc, 2)) == (0.75, 0.82)
    assert both.unseen == 0
    assert round(floors["generator+setting"].srcc, 2) == 0.60


def test_floor_means_by_hand():
    train = Groups([1.0, 3, 4, 6, 8], list("aabbb"), ["x", "x", "x", "y", "y"], list("pqpqq"))
    test = Groups([2.0, 5, 7, 9], list("abbc"), ["x", "x", "y", "x"], list("pqrp"))
    floors = floor(train, test)
    mean = 22 / 5
    expected = {
        "generator": [2, 6, 6, mean],
        "generator+setting": [2, 4, 7, mean],
        "prompt": [5 / 2, 17 / 3, mean, 5 / 2],
        # what generator and setting leave over: -1 1 0 -1 1; of prompt p -1/2, of q 1/3, of r unknown
        "both": [2 - 1 / 2, 4 + 1 / 3, 7, mean - 1 / 2],
    }
    for name, predicted in expected.items():
        assert floors[name].srcc == pytest.approx(srcc(predicted, test.mos)), name
        assert floors[name].plcc == pytest.approx(plcc(predicted, test.mos)), name
    unseen = {name: one.unseen for name, one in floors.items()}
    assert unseen == {"generator": 1, "generator+setting": 1, "prompt": 1, "both": 1}


def test_the_floor_of_a_whole_database_has_no_prompts():
    whole = Groups([1.0, 2, 3, 5], list("aabb"), [""] * 4, list("pqpq"))
    floors = floor(whole, whole)
    assert floors["generator"].plcc == pytest.approx(plcc([1.5, 1.5, 4, 4], whole.mos))
    for name in ("prompt", "both"):
        assert floors[name].plcc is None
        assert "contain the image itself" in floors[name].reason


def test_one_generator_is_no_floor():
    train = Groups([1.0, 2, 3], ["a"] * 3, [""] * 3, list("pqr"))
    test = Groups([1.0, 2, 3], ["a"] * 3, [""] * 3, list("stu"))
    one = floor(train, test)["generator"]
    assert (one.srcc, one.plcc) == (None, None)
    assert one.reason == "all predictions are equal"


def test_labels_of_another_length_are_refused():
    whole = Groups([1.0, 2, 3], ["a", "b", "c"], [""] * 3, list("pqr"))
    with pytest.raises(ValueError, match="expected 2 labels"):
        floor(whole, Groups([1.0, 2], ["a", "b", "c"], [""] * 3, list("pqr")))


def test_the_ceiling_is_what_a_model_that_knows_the_truth_reaches():
    """21 raters with errors of their own: the correlation of the true scores with the means of the ratings."""
    rng = np.random.default_rng(3)
    truth = 2.5 + rng.standard_normal(4000)
    ratings = truth[:, np.newaxis] + 2.0 * rng.standard_normal((4000, 21))
    mos, std = ratings.mean(axis=1), ratings.std(axis=1, ddof=1)
    bound = ceiling(mos, std, 21)
    assert bound.plcc == pytest.approx(plcc(truth, mos), abs=0.005)
    assert bound.srcc == pytest.approx(srcc(truth, mos), abs=0.005)
    assert bound.reliability == pytest.approx(1 / (1 + 4 / 21), abs=0.01)
    assert bound == ceiling(mos, std, np.full(4000, 21)), "one number of raters, or one for each image"
    assert bound.srcc == pytest.approx(ceiling(mos, std, 21, seed=1).srcc, abs=0.0005)


def test_the_ceiling_by_hand():
    bound = ceiling([1.0, 2, 3, 4], [1.0, 1, 1, 1], 4)
    assert bound.reliability == pytest.approx(1 - 0.25 / (5 / 3))
    assert bound.plcc == pytest.approx(math.sqrt(0.85))


def test_the_ceiling_of_published_scores(labels):
    """AGIQA-3K, 21 raters: mean of std^2 / 21 against the variance 0.997908^2 of databases/agiqa3k.md."""
    std = np.array([float(row["std_quality"]) for row in labels])
    bound = ceiling([float(row["mos_quality"]) for row in labels], std, 21)
    assert bound.plcc == pytest.approx(math.sqrt(1 - np.mean(std**2) / 21 / 0.997908**2), abs=1e-6)
    assert 0.98 < bound.srcc < bound.plcc < 1


def test_where_the_ceiling_is_unknown():
    mos = [1.0, 2, 3]
    assert ceiling(mos, None, 21) is None
    assert ceiling(mos, [1.0, 1, 1], None) is None
    assert ceiling(mos, [1.0, math.nan, 1], 21) is None
    assert ceiling(mos, [1.0, 1, 1], 1) is None
    assert ceiling(mos, [], 21) is None
    with pytest.raises(Undefined, match="all scores are equal"):
        ceiling([2.0, 2, 2], [1.0, 1, 1], 21)


def test_scores_that_are_nothing_but_noise_have_a_ceiling_of_0():
    bound = ceiling([1.0, 1.1, 1.2], [2.0, 2, 2], 4)
    assert (bound.srcc, bound.plcc, bound.reliability) == (0, 0, 0)


# Two-sided 95 % quantiles from printed tables: Student's for 20 degrees of freedom, and the normal one.
T20, NORMAL = 2.085963, 1.959964


def test_half_widths_take_student_for_few_raters():
    assert half_widths([1.0], 21) == pytest.approx([T20 / math.sqrt(21)], abs=1e-6)
    assert half_widths([2.0], 30) == pytest.approx([2 * NORMAL / math.sqrt(30)], abs=1e-6)
    assert half_widths([1.0, 2.0], [21, 100]) == pytest.approx([T20 / math.sqrt(21), NORMAL / 5], abs=1e-6)


def test_errors_inside_the_interval_do_not_count():
    """Half width 0.4552 of every image; errors 0.2, 0.6, 1.0, 0.3, 0.5, 1.4552 of six images."""
    reach = T20 / math.sqrt(21)
    mos = np.arange(6.0)
    errors = np.array([0.2, -0.6, 1.0, 0.3, -0.5, 1 + reach])
    beyond = np.array([0, 0.6 - reach, 1 - reach, 0, 0.5 - reach, 1])
    for parameters in (1, 4):
        expected = math.sqrt((beyond**2).sum() / (6 - parameters))
        assert epsilon_rmse(mos + errors, mos, np.ones(6), 21, parameters) == pytest.approx(expected, abs=1e-6)
    assert outlier_ratio(mos + errors, mos, np.ones(6), 21) == pytest.approx(4 / 6)
    assert epsilon_rmse(mos, mos, np.ones(6), 21) == 0


def test_without_rater_noise_it_is_the_root_mean_square_error():
    mos = np.arange(10.0)
    assert epsilon_rmse(mos + 2, mos, np.zeros(10), 21, 0) == pytest.approx(2)
    assert outlier_ratio(mos + 2, mos, np.zeros(10), 21) == 1


def test_what_uncertainty_refuses():
    mos = np.arange(4.0)
    with pytest.raises(Undefined, match="after 4 parameters"):
        epsilon_rmse(mos, mos, np.ones(4), 21)
    with pytest.raises(Undefined, match="two raters"):
        outlier_ratio(mos, mos, np.ones(4), 1)
    with pytest.raises(ValueError, match="below 0"):
        outlier_ratio(mos, mos, -np.ones(4), 21)
    with pytest.raises(ValueError, match="expected"):
        outlier_ratio(mos, mos, np.ones(3), 21)

"""No corner of initialisation is left out by accident: how often each option is drawn."""

import math
from typing import Any

from tests.initialization.draws import Empty, empties
from tests.initialization.test_constants import Convolution, convolutions
from tests.initialization.test_distributions import Truncated, ends, means, stds, truncated
from tests.initialization.test_xavier_kaiming import NONLINEARITIES, WeightCase, weight_cases
from tests.meta.options import assert_all_are_drawn

ENDS = {(0.0, 1.0), (-0.1, 0.1), (1000.0, 1001.0), (-0.5, 0.1), (0.1, 0.3), (1.0, 1.0)}
GAINS, SLOPES = {1.0, math.sqrt(2), 0.5, 0.0}, {0.0, 0.01, 1.0, math.sqrt(5), -0.5}
MEANS, STDS = {0.0, 1.0, 100.0, -5.0}, {1.0, 0.02, 1e-3, 100.0}
LAYOUTS, DIMENSIONS = 6, 6


def or_other(value: Any, named: set[Any]) -> set[Any]:
    return {value if value in named else "other"}


def options_of_a_tensor(empty: Empty) -> dict[str, set[Any]]:
    return {
        "layout": {empty.layout},
        "dimensions": {len(empty.shape)},
        "fewer than 16": {math.prod(empty.shape) < 16},  # where other code draws normal numbers
        "empty": {0 in empty.shape},
    }


def options_of_a_weight(case: WeightCase) -> dict[str, set[Any]]:
    return {
        "layout": {case.empty.layout},
        "dimensions": {len(case.empty.shape)},
        "gain": or_other(case.gain, GAINS),
        "a": or_other(case.a, SLOPES),
        "mode": {case.mode},
        "nonlinearity": {case.nonlinearity},
    }


def options_of_a_convolution(case: Convolution) -> dict[str, set[Any]]:
    _, inputs, *sides = case.empty.shape
    return {
        "groups": {case.groups},
        "dimensions": {len(case.empty.shape)},
        "even side": {any(side % 2 == 0 for side in sides)},
        "more inputs than outputs": {inputs > case.empty.shape[0] // case.groups},
    }


def options_of_a_truncation(case: Truncated) -> dict[str, set[Any]]:
    return {
        "mean": or_other(case.mean, MEANS),
        "std": or_other(case.std, STDS),
        "by rejected proposals": {case.proposes},
        "all on one side": {"left" if case.b < case.mean else "right" if case.a > case.mean else 0},
        "ten std away": {min(abs(case.a - case.mean), abs(case.b - case.mean)) > 9.9 * case.std},
    }


def test_every_shape_and_layout_is_drawn() -> None:
    values = {"layout": LAYOUTS, "dimensions": DIMENSIONS}
    assert_all_are_drawn(empties(), options_of_a_tensor, values)


def test_every_option_of_a_weight_is_drawn() -> None:
    values = {
        "layout": LAYOUTS,
        "dimensions": DIMENSIONS - 2,
        "gain": len(GAINS) + 1,
        "a": len(SLOPES) + 1,
        "nonlinearity": len(NONLINEARITIES),
    }
    assert_all_are_drawn(weight_cases(), options_of_a_weight, values)


def test_every_option_of_a_convolution_is_drawn() -> None:
    values = {"groups": 3, "dimensions": 3}
    assert_all_are_drawn(convolutions(), options_of_a_convolution, values)


def test_every_kind_of_range_is_drawn() -> None:
    values = {"ends": len(ENDS) + 1, "mean": len(MEANS) + 1, "std": len(STDS) + 1}
    assert_all_are_drawn(ends, lambda x: {"ends": or_other(x, ENDS)}, values)
    assert_all_are_drawn(means, lambda x: {"mean": or_other(x, MEANS)}, values)
    assert_all_are_drawn(stds, lambda x: {"std": or_other(x, STDS)}, values)
    assert_all_are_drawn(truncated(), options_of_a_truncation, {**values, "all on one side": 3})

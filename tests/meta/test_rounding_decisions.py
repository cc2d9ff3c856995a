"""Choices by numbers that are in doubt: either outcome is admitted there, and only there."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.comparison import Comparison
from tests.harness.formats import FLOAT32
from tests.harness.rounded import Decision, Rounded
from tests.harness.rounding import Rounding

F32, F64 = Rounding.kernel("float32"), Rounding.kernel("float64")
INF, NAN = math.inf, math.nan
numbers = st.floats(-10, 10)


def off_by(value: float, error: float, rounding: Rounding = F32) -> Rounded:
    return Rounded(rounding, np.array([value]), np.array([error]))


def admits(expected: Rounded, got: float) -> bool:
    return not Comparison.of(np.full(expected.shape, got), expected, FLOAT32).wrong.any()


@given(value=numbers, error=st.floats(0, 4), threshold=numbers, a=numbers, b=numbers)
def test_either_outcome_is_admitted_where_the_error_reaches_the_threshold(
    value: float, error: float, threshold: float, a: float, b: float
) -> None:
    x = off_by(value, error)
    chosen = np.where(x <= F32.array([threshold]), F32.array([a]), F32.array([b]))
    may_be_below, may_be_above = value - error <= threshold, value + error > threshold
    assert admits(chosen, a) >= may_be_below
    assert admits(chosen, b) >= may_be_above
    if abs(value - threshold) > error * 1.001:
        assert (chosen.bound == 0).all()


@pytest.mark.parametrize("other", [INF, -INF, NAN])
def test_an_open_choice_admits_an_infinity_or_nan_that_one_outcome_gives(other: float) -> None:
    for pair in ([other, 1.0], [1.0, other]):
        a, b = (F32.array([x]) for x in pair)
        chosen = np.where(off_by(0.0, 1e-9) <= F32.array([0.0]), a, b)
        assert admits(chosen, other)
        assert admits(chosen, 1.0)


@pytest.mark.parametrize("value", [0.0, INF, -INF, NAN])
def test_what_may_be_anything_decides_nothing(value: float) -> None:
    chosen = np.where(off_by(value, INF) < F32.array([0.0]), F32.array([1.0]), F32.array([2.0]))
    assert admits(chosen, 1.0)
    assert admits(chosen, 2.0)


@pytest.mark.parametrize(("value", "outcome"), [(INF, 2.0), (-INF, 1.0), (NAN, 2.0)])
def test_a_certain_infinity_or_nan_decides(value: float, outcome: float) -> None:
    by_certain = off_by(value, 0.0) < off_by(0.0, 1e-3)
    chosen = np.where(by_certain, F32.array([1.0]), F32.array([2.0]))
    assert (chosen.value == outcome).all()
    assert (chosen.bound == 0).all()


def test_a_decision_between_exact_numbers_is_an_ordinary_mask() -> None:
    assert isinstance(F32.array([1.0]) < F32.array([2.0]), np.ndarray)
    assert isinstance(off_by(1.0, 0.5) < F32.array([2.0]), Decision)


def test_in_float64_the_doubt_covers_the_reference_and_the_implementation() -> None:
    tenth, fifth, sum_ = (F64.array([x]) for x in (0.1, 0.2, 0.3))
    chosen = np.where(tenth + fifth <= sum_, F64.array([1.0]), F64.array([2.0]))
    assert admits(chosen, 1.0)
    assert admits(chosen, 2.0)

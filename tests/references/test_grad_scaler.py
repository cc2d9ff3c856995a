"""Gradient scaling: exact in rationals, and a scale that follows its rules step by step."""

from fractions import Fraction as Exact

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.grad_scaler import unscale, update_scale

numbers = st.floats(-1e6, 1e6)
scales = st.sampled_from((1.0, 65536.0, 3.0, 0.1, 2.0**-6))


@given(vector=st.lists(numbers, min_size=1, max_size=4), scale=scales)
def test_what_is_scaled_and_unscaled_is_what_it_was(vector, scale):
    """Three roundings: of the product, of 1 / S, and of their product.

    Below the normal numbers each product is off by 2^-1075, and the first is divided by S.
    """
    lost = Exact(2.0**-1074) * (1 + 1 / Exact(scale))
    (after,), found_inf = unscale([np.array(vector) * scale], scale)
    assert not found_inf
    for x, y in zip(vector, after.tolist(), strict=True):
        assert abs(Exact(y) - Exact(x)) <= 4 * Exact(2.0**-53) * abs(Exact(x)) + lost


@pytest.mark.parametrize("broken", [np.inf, -np.inf, np.nan])
def test_one_number_that_is_not_finite_is_found(broken):
    sound = np.ones((2, 2))
    assert not unscale([sound, np.zeros((0, 3))], 2.0)[1]
    assert not unscale([], 2.0)[1]
    assert unscale([sound, np.array(broken)], 2.0)[1]


@given(
    overflows=st.lists(st.booleans(), max_size=12),
    interval=st.integers(1, 4),
    growth=st.sampled_from((2.0, 1.5)),
    backoff=st.sampled_from((0.5, 0.25)),
)
def test_the_scale_counts_what_came_since_it_last_changed(overflows, interval, growth, backoff):
    """Told backwards: how many iterations in a row were sound, and how often that makes it grow."""
    scale, tracker, exact, sound = 8.0, 0, Exact(8), 0
    factors = {"growth_factor": growth, "backoff_factor": backoff, "growth_interval": interval}
    for overflow in overflows:
        scale, tracker = update_scale(scale, tracker, overflow, **factors)
        sound = 0 if overflow else sound + 1
        grows = sound > 0 and sound % interval == 0
        exact *= Exact(backoff) if overflow else Exact(growth) if grows else 1
        assert (Exact(scale), tracker) == (exact, sound % interval)


def test_the_scale_stays_in_float32():
    assert update_scale(2.0**127, 0, False, growth_interval=1) == (2.0**127, 0)
    assert update_scale(2.0**126, 0, False, growth_interval=1) == (2.0**127, 0)


def test_the_derivative_is_the_factor():
    (moved,), _ = unscale([np.array([3.0 + 1e-30j])], 4.0)
    assert (moved.imag / 1e-30).tolist() == [0.25]


def test_options_out_of_range_are_refused():
    for scale in (0.0, -1.0, np.nan):
        with pytest.raises(ValueError, match="scale must be above 0"):
            unscale([np.ones(1)], scale)
    for option, value in (("growth_factor", 1.0), ("backoff_factor", 1.0), ("growth_interval", 0)):
        with pytest.raises(ValueError, match=f"{option} must be"):
            update_scale(1.0, 0, False, **{option: value})  # type: ignore[arg-type]

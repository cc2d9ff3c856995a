"""Formats round as NumPy and torch do, and know their own limits as torch does."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.formats import FORMATS, last_bit

formats = pytest.mark.parametrize("dtype", FORMATS)
halves = pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
float32s = st.integers(0, 2**32 - 1).map(lambda bits: np.uint32(bits).view(np.float32))


def cast(x: np.ndarray, dtype: str) -> np.ndarray:
    """What NumPy makes of float64 numbers, or torch where NumPy does not know the dtype."""
    if dtype == "bfloat16":
        assert np.array_equal(x.astype(np.float32), x, equal_nan=True)
        return torch.from_numpy(x.astype(np.float32)).bfloat16().double().numpy()
    with np.errstate(all="ignore"):
        return x.astype(dtype).astype(np.float64)


def rounded(x: np.ndarray, dtype: str) -> np.ndarray:
    with np.errstate(all="ignore"):  # as everywhere in the harness
        return FORMATS[dtype].round(x)


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return np.array_equal(a, b, equal_nan=True) and bool(
        (np.isnan(a) | (np.signbit(a) == np.signbit(b))).all()
    )


def all_numbers(dtype: str) -> np.ndarray:
    """Every finite number of a half type, in order."""
    bits = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16)
    numbers = bits.view(getattr(torch, dtype)).double().numpy()
    return np.unique(numbers[np.isfinite(numbers)])


@halves
def test_every_number_and_every_tie_and_its_neighbours_round_as_torch_and_numpy_round(
    dtype: str,
) -> None:
    fmt, numbers = FORMATS[dtype], all_numbers(dtype)
    ties = np.append((numbers[1:] + numbers[:-1]) / 2, [fmt.overflow, -fmt.overflow])
    ties = ties.astype(np.float32)  # where they are exact: at least 13 digits more
    for x in (numbers, ties, np.nextafter(ties, np.inf), np.nextafter(ties, -np.inf)):
        assert same(rounded(x.astype(np.float64), dtype), cast(x.astype(np.float64), dtype))
    assert fmt.holds(numbers).all()
    assert not fmt.holds(ties.astype(np.float64)).any()


@halves
@given(st.lists(float32s, min_size=1, max_size=64))
def test_any_float32_rounds_to_a_half_type_as_torch_and_numpy_round(
    dtype: str, numbers: list[np.float32]
) -> None:
    x = np.array(numbers).astype(np.float64)
    assert same(rounded(x, dtype), cast(x, dtype))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@given(st.lists(st.floats(), min_size=1, max_size=64))
def test_any_float64_rounds_as_numpy_rounds(dtype: str, numbers: list[float]) -> None:
    x = np.array(numbers)
    assert same(rounded(x, dtype), cast(x, dtype))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_rounding_moves_a_number_by_at_most_half_an_ulp(dtype: str, number: float) -> None:
    fmt, x = FORMATS[dtype], np.array([number])
    result, half_ulp = rounded(x, dtype), fmt.half_ulp(np.abs(x))
    if np.isfinite(result).all():
        assert abs(Fraction(result[0]) - Fraction(number)) <= Fraction(half_ulp[0])
        assert half_ulp[0] > 0 or number == 0
    assert fmt.holds(result).all()
    assert bool(np.isinf(result)[0]) == (abs(number) >= fmt.overflow)


@halves
def test_half_an_ulp_is_reached_halfway_between_neighbours(dtype: str) -> None:
    fmt, numbers = FORMATS[dtype], all_numbers(dtype)
    lower = numbers[(numbers >= 0)][:-1]
    gaps = np.diff(numbers[numbers >= 0])
    assert np.array_equal(fmt.half_ulp(lower + gaps / 2), gaps / 2)
    assert np.array_equal(fmt.ulp(lower), gaps)
    assert np.array_equal(fmt.ulp(-lower), gaps)


@formats
def test_limits_are_those_of_torch(dtype: str) -> None:
    fmt, torch_dtype = FORMATS[dtype], getattr(torch, dtype)
    limits = torch.finfo(torch_dtype)
    zero, one = torch.zeros(1, dtype=torch_dtype), torch.ones(1, dtype=torch_dtype)
    assert fmt.max == limits.max
    assert 2 * fmt.unit == limits.eps
    assert 2.0**fmt.min_exponent == limits.tiny
    assert 2.0**fmt.last_bit == torch.nextafter(zero, one).item()
    assert fmt.half_ulp(np.ones(1)) == limits.eps / 2


@pytest.mark.parametrize(
    ("dtype", "below", "overflow"),
    [
        ("float16", 65519.99, 65520.0),
        ("bfloat16", float.fromhex("0x1.feffffp127"), float.fromhex("0x1.ffp127")),
        ("float32", float.fromhex("0x1.fffffefffffffp127"), float.fromhex("0x1.ffffffp127")),
    ],
)
def test_numbers_overflow_from_half_an_ulp_above_the_largest(
    dtype: str, below: float, overflow: float
) -> None:
    fmt = FORMATS[dtype]
    assert fmt.overflow == overflow
    assert np.array_equal(fmt.round(np.array([below, -below])), [fmt.max, -fmt.max])
    assert np.array_equal(fmt.round(np.array([overflow, -overflow])), [np.inf, -np.inf])


@given(st.lists(st.floats(), max_size=5))
def test_last_bit_is_the_largest_power_of_two_that_divides_every_number(
    numbers: list[float],
) -> None:
    bit = last_bit(np.array(numbers))
    fractions = [Fraction(x) for x in numbers if np.isfinite(x) and x]
    if not fractions:
        assert bit == np.inf
        return
    unit = Fraction(2) ** int(bit)
    assert all((x / unit).denominator == 1 for x in fractions)
    assert any((x / unit).numerator % 2 for x in fractions)


def test_large_arrays_are_not_searched_for_exactness() -> None:
    assert last_bit(np.ones(10_000)) == 0
    assert last_bit(np.ones(10_001)) == -np.inf

"""The bound is not loose: a search comes close to it, for each operation and for whole formulas.

NumPy runs a formula in float32, on many columns of random operands or on the worst ones known, and
with Rounded arrays. A multiple says how many times the worst error found the bound is at most.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tests.harness.rounding import Rounding

Array = np.ndarray
COLUMNS = 50_000
U = 2.0**-24  # the unit roundoff of float32


def ones(random: np.random.Generator, rows: int) -> Array:
    """Numbers in [1, 2), where roundings are relatively largest."""
    return 1 + random.random((rows, COLUMNS))


def normal(random: np.random.Generator, rows: int) -> Array:
    return random.standard_normal((rows, COLUMNS))


def lost(random: np.random.Generator, rows: int) -> Array:
    """1, and terms of half an ulp that are lost one by one; two columns, else NumPy adds pairs."""
    return np.array([[1.0, 1.0]] + [[U, U]] * (rows - 1))


def roots_of_lost(random: np.random.Generator, rows: int) -> Array:
    return np.sqrt(lost(random, rows))


def total(x: Any) -> Any:
    return np.sum(x, axis=0, keepdims=True)


def one_ulp_off(function: np.ufunc) -> Callable[[Any], Any]:
    """A function as the worst of faithful libraries has it: rounded the wrong way."""

    def worst(x: Any) -> Any:
        if not isinstance(x, np.ndarray):
            return function(x)
        exact = function(x.astype(np.float64))
        nearest = exact.astype(np.float32)
        return np.nextafter(nearest, np.copysign(np.inf, exact - nearest).astype(np.float32))

    return worst


def adamw(p: Any, m: Any, v: Any) -> Any:
    return p * (1 - 0.1 * 0.01) - 0.1 * ((m / 0.1) / (np.sqrt(v / 0.001) + 1e-8))


@dataclass(frozen=True)
class Search:
    """A formula, of how many rows its operands are, how they are drawn, and what is found."""

    formula: Callable[..., Any]
    rows: int
    operands: tuple[Callable[[np.random.Generator, int], Array], ...]
    multiple: float


SEARCHES = {
    "x + y": Search(lambda x, y: x + y, 1, (ones, ones), 1.001),
    "x - y": Search(lambda x, y: x - y, 1, (ones, normal), 1.001),
    "x * y": Search(lambda x, y: x * y, 1, (ones, ones), 1.001),
    "x / y": Search(lambda x, y: x / y, 1, (ones, ones), 1.001),
    "sqrt(x)": Search(np.sqrt, 1, (ones,), 1.001),
    "exp(x)": Search(one_ulp_off(np.exp), 1, (normal,), 1.05),
    "log(x)": Search(one_ulp_off(np.log), 1, (ones,), 1.05),
    "sum of 10, lost": Search(total, 10, (lost,), 1.001),
    "sum of 1000, lost": Search(total, 1000, (lost,), 1.001),
    "sum of 10": Search(total, 10, (normal,), 3.5),
    "sum of 100": Search(total, 100, (normal,), 35),
    "dot of 10, lost": Search(lambda x, y: total(x * y), 10, (roots_of_lost,) * 2, 1.12),
    "dot of 10": Search(lambda x, y: total(x * y), 10, (normal, normal), 3),
    "mean of 10": Search(lambda x: total(x) / 10, 10, (normal,), 3.5),
    "variance of 10": Search(lambda x: total((x - total(x) / 10) ** 2) / 10, 10, (normal,), 5.5),
    "norm of 10": Search(lambda x: np.sqrt(total(x * x)), 10, (normal,), 2.5),
    "p - lr * g": Search(lambda p, g: p - 0.1 * g, 1, (ones, normal), 1.01),
    "b * m + (1 - b) * g": Search(lambda m, g: 0.9 * m + (1 - 0.9) * g, 1, (ones, ones), 1.7),
    "m / (sqrt(v) + eps)": Search(lambda m, v: m / (np.sqrt(v) + 1e-8), 1, (ones, ones), 1.5),
    "adamw": Search(adamw, 1, (ones, ones, ones), 1.3),
}


def worst_share(search: Search, rounding: Rounding) -> float:
    """Of the bound, that NumPy's float32 uses up."""
    random = np.random.default_rng(0)
    operands = [rounding.storage.round(draw(random, search.rows)) for draw in search.operands]
    got = search.formula(*(x.astype(np.float32) for x in operands))
    assert got.dtype == np.float32
    expected = rounding.stored(search.formula(*(rounding.array(x) for x in operands)))
    error = np.abs(rounding.storage.round(got) - expected.value)
    return float((error[expected.bound > 0] / expected.bound[expected.bound > 0]).max())


@pytest.mark.parametrize("name", SEARCHES)
def test_the_bound_is_a_small_multiple_of_the_worst_error_found(name: str) -> None:
    multiple = 1 / worst_share(SEARCHES[name], Rounding.kernel("float32"))
    assert 1 <= multiple <= SEARCHES[name].multiple


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", [name for name in SEARCHES if "lost" not in name])
def test_a_half_type_kernel_comes_close_to_its_bound_whatever_it_computes(
    name: str, dtype: str
) -> None:
    """Nearly all of it is the one rounding to storage."""
    assert 1 <= 1 / worst_share(SEARCHES[name], Rounding.kernel(dtype)) <= 1.05

"""Whatever a faithful implementation computes stays within the bound, on random formulas.

A formula runs four times: with Rounded arrays, for the bound; on a simulated `Machine`; exactly,
with rational numbers (50 digits after a root, an exponential or a logarithm); and in float64
with a bound of its own, which is how far the reference's value may be from the exact one.
"""

import operator
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import reduce
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.comparison import Comparison
from tests.harness.rounded import Rounded
from tests.harness.rounding import Rounding
from tests.harness.strategies.values import SPECIALS, Values, families, values
from tests.meta.machine import Chip, Machine, Numbers

Array = np.ndarray
SMALLEST, LARGEST = (Fraction(float(x)) for x in (np.finfo(float).tiny, np.finfo(float).max))
SIDE = 3  # of every input, a square
FORMULAS: dict[str, Callable[[Any, Any], Any]] = {
    "x + y": lambda x, y: x + y,
    "x - y": lambda x, y: x - y,
    "x * y": lambda x, y: x * y,
    "x / y": lambda x, y: x / y,
    "-x[::-1]": lambda x, y: -x[::-1],
    "x @ y.T": lambda x, y: x @ y.T if x.shape[1] == y.shape[1] else x * y,
    "sum(x, axis=0)": lambda x, y: np.sum(x, axis=0, keepdims=True),
    "sum(x * y, axis=1)": lambda x, y: np.sum(x * y, axis=1, keepdims=True),
    "max(x, axis=1)": lambda x, y: np.max(x, axis=1, keepdims=True),
    "where(x <= y, x, -y)": lambda x, y: np.where(x <= y, x, -y),
    "sqrt(relu(x))": lambda x, y: np.sqrt(np.where(x <= 0, 0.0, x)),
    "sqrt(x * x + y * y)": lambda x, y: np.sqrt(x * x + y * y),
    "exp(x)": lambda x, y: np.exp(x),
    "log(x)": lambda x, y: np.log(x),
    "log1p(x)": lambda x, y: np.log1p(x),
    "x**2": lambda x, y: x**2,
    "0.9 * x + (1 - 0.9) * y": lambda x, y: 0.9 * x + (1 - 0.9) * y,
    "x - 0.01 * y": lambda x, y: x - 0.01 * y,
}
ROUNDINGS = {
    f"{how.__name__} {dtype}": how(dtype)
    for how, dtypes in (
        (Rounding.kernel, ("float32", "float16", "bfloat16")),
        (Rounding.op_by_op, ("float16", "bfloat16")),
        (Rounding.native, ("float16", "bfloat16")),
    )
    for dtype in dtypes
}
roundings = pytest.mark.parametrize("rounding", ROUNDINGS)

Program = list[tuple[str, int, int]]
indices = st.integers(0, 7)
programs = st.lists(
    st.tuples(st.sampled_from(list(FORMULAS)), indices, indices), min_size=1, max_size=5
)
inputs = families.flatmap(lambda family: values(SIDE * SIDE, family, special=False))
many_specials = st.lists(st.sampled_from(list(SPECIALS)), min_size=SIDE**2, max_size=SIDE**2).map(
    lambda kinds: Values(SIDE**2, "integers", bytes(8 * SIDE**2), tuple(enumerate(kinds)))
)
seeds = st.integers(0, 2**32 - 1)


def elementwise(function: Callable[..., Any], arity: int) -> Callable[..., "Exact"]:
    """A function of numbers, for arrays of them; NaN where float64 could hold no value."""

    def defined(*x: Any) -> Any:
        try:
            with mpmath.workdps(50):
                y = mpmath.nan if any(map(mpmath.isnan, x)) else function(*x)
        except (ArithmeticError, ValueError):
            return mpmath.nan
        held = not isinstance(y, mpmath.mpc) and (y == 0 or SMALLEST <= abs(y) <= LARGEST)
        return y if held else mpmath.nan

    ufunc = np.frompyfunc(defined, arity, 1)
    return lambda self, *x: Exact(np.asarray(ufunc(*(v.numbers for v in x)), object))


def exponential(x: Any) -> Any:
    if abs(x) > 10**5:  # no number format of today reaches further, and no memory exp(exp(1e5))
        raise OverflowError
    return mpmath.exp(x)


fractions = np.frompyfunc(Fraction, 1, 1)


class Exact(Numbers):
    """Rational numbers; with 50 digits after a root, an exponential or a logarithm."""

    def __init__(self, numbers: Array) -> None:
        self.numbers, self.shape = numbers, numbers.shape

    def scalar(self, number: float) -> "Exact":
        return Exact(np.asarray(Fraction(number), object))

    T = property(lambda self: Exact(self.numbers.T))
    np_add = elementwise(lambda a, b: a + b, 2)
    np_subtract = elementwise(lambda a, b: a - b, 2)
    np_multiply = elementwise(lambda a, b: a * b, 2)
    np_divide = elementwise(lambda a, b: a / b, 2)
    np_power = elementwise(lambda a, n: a ** int(n), 2)
    np_negative = elementwise(lambda a: -a, 1)
    np_sqrt = elementwise(mpmath.sqrt, 1)
    np_exp = elementwise(exponential, 1)
    np_log = elementwise(mpmath.log, 1)
    np_log1p = elementwise(mpmath.log1p, 1)
    np_less_equal = elementwise(lambda a, b: a <= b, 2)
    larger = elementwise(max, 2)
    chosen = elementwise(lambda condition, a, b: a if condition else b, 3)

    def __getitem__(self, index: Any) -> "Exact":
        return Exact(self.numbers[index])

    def np_where(self, condition: "Exact", a: Any, b: Any) -> "Exact":
        choices = (x if isinstance(x, Exact) else self.scalar(x) for x in (a, b))
        return self.chosen(condition, *choices)

    def np_matmul(self, a: "Exact", b: "Exact") -> "Exact":
        return reduce(operator.add, (a[:, [k]] * b[[k]] for k in range(b.shape[0])))

    def np_sum(self, a: "Exact", axis: int, keepdims: bool) -> "Exact":
        return reduce(operator.add, a.along(axis))

    def np_max(self, a: "Exact", axis: int, keepdims: bool) -> "Exact":
        return reduce(self.larger, a.along(axis))

    def along(self, axis: int) -> Iterator["Exact"]:
        return (Exact(self.numbers.take([k], axis)) for k in range(self.shape[axis]))


def run(program: Program, arrays: list[Any]) -> list[Any]:
    """Every step is a formula of two earlier results."""
    results = list(arrays)
    for formula, i, j in program:
        results.append(FORMULAS[formula](results[i % len(results)], results[j % len(results)]))
    return results[len(arrays) :]


def compute(
    rounding: Rounding, arrays: list[Values], program: Program, seed: int, fused: bool
) -> tuple[list[Array], list[Array], list[Rounded]]:
    """The inputs, what a machine makes of them, and what is expected."""
    numbers = [x.numbers(rounding.storage).reshape(SIDE, SIDE) for x in arrays]
    chip = Chip(rounding, np.random.default_rng(seed), tree=seed % 2 == 1, fused=fused)
    with np.errstate(all="ignore"):
        got = [x.stored for x in run(program, [Machine(chip, x) for x in numbers])]
    expected = [rounding.stored(x) for x in run(program, [rounding.array(x) for x in numbers])]
    for step, x, y in zip(program, got, expected, strict=True):
        comparison = Comparison.of(x, y, rounding.storage)
        assert not comparison.wrong.any(), f"{step}\n{comparison.explain()}"
    return numbers, got, expected


@roundings
@given(st.tuples(inputs, inputs), programs, seeds, st.booleans())
def test_no_faithful_result_is_further_from_the_exact_one_than_its_bound(
    rounding: str, arrays: tuple[Values, ...], program: Program, seed: int, fused: bool
) -> None:
    numbers, got, expected = compute(ROUNDINGS[rounding], list(arrays), program, seed, fused)
    float64 = Rounding.native("float64")
    references = run(program, [float64.array(x) for x in numbers])
    truths = run(program, [Exact(fractions(x)) for x in numbers])
    for step, x, y, reference, truth in zip(
        program, got, expected, references, truths, strict=True
    ):
        bound = y.bound + reference.bound
        finite = np.isfinite(x) & np.isfinite(y.value) & np.isfinite(bound)
        for a, b, limit in zip(x[finite], truth.numbers[finite], bound[finite], strict=True):
            assert mpmath.isnan(b) or abs(Fraction(a) - b) <= Fraction(limit), (step, a, b, limit)


@roundings
@given(st.tuples(many_specials, inputs | many_specials), programs, seeds, st.booleans())
def test_special_values_become_the_kinds_that_are_expected(
    rounding: str, arrays: tuple[Values, ...], program: Program, seed: int, fused: bool
) -> None:
    _, _, expected = compute(ROUNDINGS[rounding], list(arrays), program, seed, fused)
    assert not any(np.isnan(x.bound).any() for x in expected)

"""Where the bound is zero, where it is infinite, which kinds are prescribed and what is refused."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.comparison import Comparison
from tests.harness.formats import FLOAT32, FORMATS
from tests.harness.rounded import Rounded
from tests.harness.rounding import Rounding

F32 = Rounding.kernel("float32")
INF, NAN = math.inf, math.nan
IN_DOUBT = 2.0**-24  # 1 + this - 1 is 0 in float32: computed so, it may as well be zero
integers = st.integers(-100, 100)


def added(*terms: float, dtype: str = "float32") -> Rounded:
    """Their sum, stored."""
    rounding = Rounding.kernel(dtype)
    return rounding.stored(np.sum(rounding.array(np.array(terms)), axis=0))


def doubtful(value: float) -> Rounded:
    return (F32.array([1.0]) + F32.array([value])) - F32.array([1.0])


def admits(expected: Rounded, *got: float) -> bool:
    """Whether an implementation may give any of these."""
    shape = expected.shape
    return not any(Comparison.of(np.full(shape, x), expected, FLOAT32).wrong.any() for x in got)


# Exactness


@pytest.mark.parametrize("dtype", FORMATS)
@given(st.lists(st.tuples(integers, integers), min_size=1, max_size=20), st.integers(-8, 8))
def test_products_of_whole_numbers_add_up_exactly_while_every_partial_sum_fits(
    dtype: str, pairs: list[tuple[int, int]], scale: int
) -> None:
    rounding = Rounding.native(dtype)
    a, b = np.array(pairs).T * 2.0**scale
    magnitude, precision = np.abs(a * b).sum(), FORMATS[dtype].precision
    for x in (rounding.array(a), rounding.array(a[::-1])[::-1]):
        for result in (np.sum(x * rounding.array(b), axis=0), x @ rounding.array(b)):
            if magnitude <= min(2.0 ** (precision + 2 * scale), FORMATS[dtype].max):
                assert rounding.stored(result).bound == 0
            assert (result.value == a @ b).all()


@pytest.mark.parametrize(
    ("dtype", "fits"), [("float32", 2.0**24), ("float16", 2048.0), ("bfloat16", 256.0)]
)
def test_the_first_whole_number_that_does_not_fit_is_not_exact(dtype: str, fits: float) -> None:
    assert added(fits - 1, 1, dtype=dtype).bound == 0
    assert added(fits, 1, dtype=dtype).bound == 1
    assert added(fits, 2, dtype=dtype).bound == 0


def test_a_sum_is_not_exact_though_its_value_fits_where_a_partial_sum_does_not() -> None:
    assert added(2.0**24, 1, -1).bound >= 1


# Overflow


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_a_sum_that_certainly_overflows_is_infinite(dtype: str, sign: int) -> None:
    largest = sign * FORMATS[dtype].max
    result = added(largest, largest, dtype=dtype)
    assert admits(result, sign * INF)
    assert not any(admits(result, x) for x in (largest, -sign * INF, NAN))


def test_a_partial_sum_that_may_overflow_admits_anything() -> None:
    assert admits(added(FLOAT32.max, FLOAT32.max, -FLOAT32.max), FLOAT32.max, INF, -INF, NAN, 0)
    assert not admits(added(FLOAT32.max / 2, -FLOAT32.max / 2), INF)


def test_terms_that_may_be_larger_than_they_look_do_not_overflow_for_certain() -> None:
    terms = [2.0**25 + 4, 2.0, -2.0]  # in float32 2^25 + 8 in this order
    off_by_4 = np.sum(F32.array(terms), axis=0) - (2.0**25 + 4)
    large = F32.array(3e38)
    result = F32.stored(large + large + large + large + large + F32.array(-0.9e38) * off_by_4)
    assert admits(result, INF, NAN)  # infinity minus infinity


@pytest.mark.parametrize(
    ("number", "got", "refused"), [(65519.99, 65504, INF), (65520, INF, 65504), (65536, INF, NAN)]
)
def test_storing_overflows_where_the_format_does(number: float, got: float, refused: float) -> None:
    half = Rounding.kernel("float16")
    for sign in (1, -1):
        result = half.stored(half.array([sign * number]))
        assert admits(result, sign * got)
        assert not admits(result, sign * refused)


def test_an_overflow_in_the_middle_of_a_formula_admits_anything() -> None:
    half = Rounding.op_by_op("float16")
    assert admits(half.stored(half.array([300.0]) * half.array([300.0]) * 0.5), 45000, INF)


def test_a_python_number_beyond_the_largest_may_become_infinite() -> None:
    half = Rounding.op_by_op("float16")
    assert admits(half.stored(half.array([0.5]) * 70000.0), 35000, INF)
    assert admits(F32.stored(F32.array([1e-10]) * 1e39), INF)


# Kinds

KINDS: dict[str, tuple[Callable[..., Any], list[float], float]] = {
    "inf - inf": (lambda x, y: x - y, [INF, INF], NAN),
    "inf + -inf": (lambda x, y: x + y, [INF, -INF], NAN),
    "inf + -65504.0": (lambda x, y: x + y, [INF, -65504.0], INF),
    "0.0 * inf": (lambda x, y: x * y, [0.0, INF], NAN),
    "-(2.0**-24) * inf": (lambda x, y: x * y, [-(2.0**-24), INF], -INF),
    "0.0 / -0.0": (lambda x, y: x / y, [0.0, -0.0], NAN),
    "1.0 / 0.0": (lambda x, y: x / y, [1.0, 0.0], INF),
    "1.0 / -0.0": (lambda x, y: x / y, [1.0, -0.0], -INF),
    "inf / inf": (lambda x, y: x / y, [INF, INF], NAN),
    "1.0 / -inf": (lambda x, y: x / y, [1.0, -INF], 0.0),
    "0.0 @ inf": (lambda x, y: x @ y, [0.0, INF], NAN),
    "nan @ 0.0": (lambda x, y: x @ y, [NAN, 0.0], NAN),
    "sqrt(inf) + -1.0": (lambda x, y: np.sqrt(x) + y, [INF, -1.0], INF),
    "exp(-inf) + 0.0": (lambda x, y: np.exp(x) + y, [-INF, 0.0], 0.0),
    "exp(inf) * log(inf)": (lambda x, y: np.exp(x) * np.log(y), [INF, INF], INF),
    "sum(nan) * 0.0": (lambda x, y: np.sum(x, axis=0) * y, [NAN, 0.0], NAN),
    "max(inf * -2.0)": (lambda x, y: np.max(x * y, axis=0), [INF, -2.0], -INF),
}


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
@pytest.mark.parametrize("case", KINDS)
def test_what_special_operands_make_is_prescribed(case: str, dtype: str) -> None:
    formula, operands, kind = KINDS[case]
    rounding = Rounding.kernel(dtype)
    x, y = (rounding.array(rounding.storage.round(np.full(1, v))) for v in operands)
    result = rounding.stored(formula(x, y))
    assert admits(result, kind)
    assert not any(admits(result, v) for v in (1.0, INF, -INF, NAN) if repr(v) != repr(kind))


def test_dividing_by_what_may_be_zero_admits_anything() -> None:
    one, zero = F32.array([1.0]), F32.array([0.0])
    assert admits(one / doubtful(IN_DOUBT), INF, 2.0**24, -INF, NAN)
    assert admits(zero / doubtful(0.0), NAN)
    assert not admits(one / doubtful(1.0), INF)


def test_dividing_by_a_zero_that_was_added_up_leaves_the_sign_of_infinity_open() -> None:
    zeros = F32.array([[-0.0], [-0.0]])
    assert admits(F32.array([1.0]) / np.sum(zeros, axis=0), INF, -INF)  # a sum begun at +0 is +0


def test_only_a_zero_that_was_copied_must_have_its_sign() -> None:
    zeros = F32.array([0.0, -0.0])
    assert not admits(F32.stored(zeros), 0.0)
    assert not admits(F32.stored(-zeros[::-1]), 0.0)
    assert not admits(F32.stored(np.where(zeros <= 0, zeros, 0.0)), 0.0)
    assert admits(F32.stored(zeros * zeros), 0.0, -0.0)
    assert admits(F32.stored(zeros + 0.0), 0.0, -0.0)
    assert admits(F32.stored(np.max(zeros, axis=0)), 0.0, -0.0)  # either of two equal numbers


# Small errors


def test_products_that_underflow_add_up_their_errors() -> None:
    a = np.full((8, 8), 2.0**-75)
    b = np.full((8, 8), 2.0**-75 * (1 + 2.0**-20))  # each product just over half the smallest
    product = F32.array(a) @ F32.array(b)
    rounded = FLOAT32.round(a * b).sum(axis=0)[0]
    assert admits(F32.stored(product), rounded)
    assert admits(F32.stored(np.sum(product, axis=0)), 8 * rounded)
    assert admits(F32.stored(product + product + product), 3 * rounded)


@pytest.mark.parametrize(("term", "admitted"), [(-1.56e38, True), (-1.0e38, False)])
def test_terms_that_may_overflow_by_their_errors_meet_an_infinity(
    term: float, admitted: bool
) -> None:
    """-1.84e38, which is off by 7e35, and -1.56e38 come to 3.407e38: -inf, and with inf, NaN."""
    bfloat16 = Rounding.native("bfloat16")
    inexact = Rounded(bfloat16, np.array([-1.84e38]), np.array([7e35]))
    total = inexact + bfloat16.array([INF]) + bfloat16.array([term])
    assert admits(total, INF)
    assert admits(total, NAN) == admitted


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_what_the_last_operation_has_stored_is_not_rounded_again(dtype: str) -> None:
    op_by_op = Rounding.op_by_op(dtype)
    product = op_by_op.array([1.0 + 2.0**-7]) * op_by_op.array([1.0 + 2.0**-6])
    half = FORMATS[dtype].half_ulp(product.value)
    assert half <= product.bound < half * (1 + 2.0**-10)
    assert (op_by_op.stored(product).bound == product.bound).all()


def test_a_partial_sum_that_may_overflow_meets_the_infinity_that_is_added() -> None:
    sum_ = np.sum(F32.array([FLOAT32.max, -INF]), axis=0) + F32.array(FLOAT32.max)
    assert admits(F32.stored(sum_), -INF, NAN)  # inf - inf, where the largest come first


FORMULAS: dict[str, Callable[[Any, Any], Any]] = {
    "x + y": lambda x, y: x + y,
    "x - y": lambda x, y: x - y,
    "x * y": lambda x, y: x * y,
    "x / y": lambda x, y: x / y,
    "x / 64": lambda x, y: x / 64,
    "0.1 * x": lambda x, y: 0.1 * x,
    "sqrt(x)": lambda x, y: np.sqrt(x),
    "exp(x)": lambda x, y: np.exp(x),
    "log(x)": lambda x, y: np.log(x),
    "where(x <= y, x, y)": lambda x, y: np.where(x <= y, x, y),
}


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_number_has_the_bound_of_an_array_of_one(formula: str) -> None:
    for errors in ((0.0, 0.0), (1e-3, 0.0), (0.0, 1e-3), (1e-3, 1e-4)):
        x, y = (
            [Rounded(F32, np.full(shape, value), np.full(shape, error)) for shape in ((), (1,))]
            for value, error in zip((3.0, 0.7), errors, strict=True)
        )
        number, array = (F32.stored(FORMULAS[formula](a, b)) for a, b in zip(x, y, strict=True))
        assert (number.value, number.bound) == (array.value[0], array.bound[0])


# Powers, and what only moves numbers


@pytest.mark.parametrize("exponent", [1, 2, 3, 0.5, 3.5, 1 / 3.5, -1.0, -2.5])
@given(number=st.floats(0.125, 8))
def test_a_power_admits_the_rounded_one_and_none_that_is_far_from_it(
    exponent: float, number: float
) -> None:
    x = FLOAT32.round(np.array([number]))
    power = F32.stored(F32.array(x) ** exponent)
    (nearest,) = FLOAT32.round(x**exponent)
    assert admits(power, nearest)
    assert not admits(power, nearest * (1 + 2.0**-18))


def test_a_power_of_zero_is_settled() -> None:
    assert admits(F32.stored(F32.array([0.0]) ** 2.5), 0.0)
    assert admits(F32.stored(F32.array([0.0]) ** -2.5), INF)
    assert not admits(F32.stored(F32.array([0.0]) ** -2.5), 1.0)


def test_a_whole_power_takes_the_format_of_its_exponent() -> None:
    """As beta ** step does, where the step is a tensor of float32."""
    wide, step = Rounding.native("float64").array(np.array(0.1)), F32.array(np.array(3.0))
    assert F32.stored(wide**step).bound > 3e-11 > F32.stored(wide**step).bound / 1000


def test_what_only_moves_numbers_keeps_their_bounds() -> None:
    x: Any = Rounded(F32, np.array([[3.0, -0.75]]), np.array([[2.0**-10, 2.0**-12]]))
    assert np.shape(x) == (1, 2)
    assert np.isfinite(x).tolist() == [[True, True]]
    moves: list[tuple[Any, list[list[float]], list[list[float]]]] = [
        (np.moveaxis(x, 0, 1), [[3.0], [-0.75]], [[2.0**-10], [2.0**-12]]),
        (np.broadcast_to(x, (2, 2)), 2 * [[3.0, -0.75]], 2 * [[2.0**-10, 2.0**-12]]),
        (np.abs(x), [[3.0, 0.75]], [[2.0**-10, 2.0**-12]]),
        (np.ones_like(x), [[1.0, 1.0]], [[0.0, 0.0]]),
        (np.zeros_like(x), [[0.0, 0.0]], [[0.0, 0.0]]),
    ]
    for moved, value, bound in moves:
        assert (moved.value.tolist(), moved.bound.tolist()) == (value, bound)


def test_what_is_stacked_widens_to_a_format_that_holds_all() -> None:
    half, brain = (Rounding.kernel(dtype) for dtype in ("float16", "bfloat16"))
    exact: Any = np.stack([half.array(np.array(1.0)), half.array(np.array(2.0))])
    assert exact.rounding is half
    assert (exact.value.tolist(), exact.bound.tolist()) == ([1, 2], [0, 0])
    off: Any = Rounded(brain, np.array(2.0), np.array(0.5))
    mixed: Any = np.stack([half.array(np.array(1.0)), off])
    assert mixed.rounding.storage == FLOAT32
    assert mixed.bound.tolist() == [0, 0.5 + 2.0**-7]  # half an ulp of 2.5 where it was stored


def test_a_kernel_that_flushes_may_take_subnormal_numbers_for_zero() -> None:
    flushing = Rounding.kernel("bfloat16", flushes=True)
    tiny = flushing.compute.tiny
    for number in (tiny / 2, -tiny / 2):
        assert admits(flushing.array([number]) * 1.0, number, 0.0)
    assert not admits(flushing.array([4 * tiny]) * 1.0, 0.0)


@pytest.mark.parametrize("call", [np.tanh, np.add.reduce, np.cumsum])
def test_a_function_without_a_rule_is_refused(call: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match=r"^no rounding rule for np\.\w+"):
        call(F32.array([1.0]))

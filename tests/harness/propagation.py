"""What each NumPy operation makes of the rounding errors of its operands.

`+`, `sum` and `matmul` keep a sum open, because implementations choose their own order, down to
where the bias of a linear layer enters. Every other operation, subtraction among them, rounds its
operands first: the order in which a formula subtracts is part of its meaning (`log_softmax` takes
the maximum off first, and an implementation that does not is wrong).

Errors are propagated in full, not to first order.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.harness.rounded import RULES, Array, Decision, Rounded, all_finite, finite_magnitude

Rule = Callable[..., Any]


def rule(function: Any) -> Callable[[Rule], Rule]:
    """Register the rule of a NumPy function."""

    def register(implementation: Rule) -> Rule:
        RULES[function] = implementation
        return implementation

    return register


def result(
    operands: tuple[Rounded, ...],
    value: Array,
    error: Array | float,
    magnitude: Array | None = None,
    roundings: int = 1,
    last_bit: float = -math.inf,
    prescribed: Callable[[], Array] | None = None,
) -> Rounded:
    """An operation's result, its infinities and NaNs sorted into prescribed and doubtful.

    `prescribed` finds the elements where IEEE 754 settles the outcome because an operand is
    infinite or NaN. Any other infinity in `value` is an overflow of float64 or a division by what
    may be zero, and admits everything.
    """
    if not all_finite(value):
        finite = np.isfinite(value)
        magnitude = finite_magnitude(value) if magnitude is None else magnitude
        settled = prescribed() if prescribed else settled_by_operands(*operands)
        settled = settled & (magnitude < operands[0].rounding.compute.overflow)
        error = np.where(finite, error, np.where(settled, 0.0, np.inf))
        magnitude = np.where(finite, magnitude, 0.0)
    return Rounded(operands[0].rounding, value, error, magnitude, roundings, last_bit)


def settled_by_operands(*operands: Rounded) -> Array:
    """Elementwise: NaN makes NaN; what infinity makes is sure if no operand is in doubt."""
    nan = np.logical_or.reduce(np.broadcast_arrays(*(np.isnan(x.value) for x in operands)))
    infinite = np.logical_or.reduce(np.broadcast_arrays(*(np.isinf(x.value) for x in operands)))
    doubt = np.maximum.reduce(np.broadcast_arrays(*(x.bound for x in operands)))
    return (nan & np.isfinite(doubt)) | (infinite & (doubt == 0))


def settled_sum(*terms: Rounded) -> Callable[[], Array]:
    """A sum with an infinite or NaN term: a finite error of the others changes nothing."""
    return lambda: np.logical_and.reduce(
        np.broadcast_arrays(
            ~np.logical_and.reduce(np.broadcast_arrays(*(np.isfinite(x.value) for x in terms))),
            *(np.isfinite(x.bound) for x in terms),
        )
    )


@rule(np.add)
def add(a: Rounded, b: Rounded) -> Rounded:
    return result(
        (a, b),
        value=a.value + b.value,
        error=a.error + b.error,
        magnitude=a.magnitude + b.magnitude,
        roundings=a.roundings + b.roundings + 1,
        last_bit=min(a.last_bit, b.last_bit),
        prescribed=settled_sum(a, b),
    )


@rule(np.subtract)
def subtract(a: Rounded, b: Rounded) -> Rounded:
    return result(
        (a, b),
        value=a.value - b.value,
        error=a.closed_bound + b.closed_bound,
        last_bit=min(a.last_bit, b.last_bit),
        prescribed=settled_sum(a, b),
    )


@rule(np.multiply)
def multiply(a: Rounded, b: Rounded) -> Rounded:
    for one, other in ((a, b), (b, a)):
        if one.is_exact and one.ndim == 0 and one.value == 1:
            return other  # no implementation rounds a product with 1
    error: Array | float = 0.0
    if not b.is_exact:
        error = error + a.absolute * b.bound
    if not a.is_exact:
        error = error + a.bound * (b.absolute + b.closed_bound)
    return result((a, b), a.value * b.value, error, last_bit=a.last_bit + b.last_bit)


@rule(np.true_divide)
def divide(a: Rounded, b: Rounded) -> Rounded:
    value = a.value / b.value
    nearest = b.absolute - b.closed_bound  # that the divisor may come to zero
    error: Array | float = 0.0
    if not (a.is_exact and b.is_exact and nearest.all()):
        error = (a.closed_bound + np.abs(value) * b.closed_bound) / nearest
        error = np.where(nearest > 0, error, np.inf)
    power_of_two = b.is_exact and b.ndim == 0 and np.frexp(b.value)[0] == 0.5
    bit = a.last_bit - math.log2(b.value) if power_of_two else -math.inf

    def prescribed() -> Array:
        by_zero = (b.value == 0) & (b.bound == 0) & (a.bound < np.maximum(np.abs(a.value), 1e-323))
        return by_zero | settled_by_operands(a, b)

    return result((a, b), value, error, last_bit=bit, prescribed=prescribed)


@rule(np.negative)
def negative(a: Rounded) -> Rounded:
    return Rounded(a.rounding, -a.value, a.error, a.magnitude, a.roundings, a.last_bit, a.selected)


@rule(np.power)
def power(a: Rounded, exponent: Rounded) -> Rounded:
    """A whole power of a tracked number, by so many multiplications."""
    n, reach = int(exponent.value), np.abs(a.value) + a.closed_bound
    value = a.value**n
    return result((a,), value, reach**n - np.abs(value), roundings=n)


@rule(np.sqrt)
def sqrt(a: Rounded) -> Rounded:
    """The radicand is a sum of squares, which rounding does not take below zero."""
    value = np.sqrt(a.value)
    if a.is_exact:
        return result((a,), value, 0.0)
    below = value - np.sqrt(np.maximum(a.value - a.bound, 0))
    above = np.sqrt(a.value + a.bound) - value
    return result((a,), value, np.maximum(below, above))


@rule(np.exp)
def exp(a: Rounded) -> Rounded:
    value, bound = np.exp(a.value), a.bound
    error = np.where(bound < 1, value * np.expm1(bound), np.exp(a.value + bound) - value)
    return elementary(a, value, error, trivial=a.value == 0)


@rule(np.log)
def log(a: Rounded) -> Rounded:
    relative = a.bound / a.value
    error = np.where(relative < 1, -np.log1p(-np.minimum(relative, 1)), np.inf)
    return elementary(a, np.log(a.value), error, trivial=a.value == 1)


def elementary(a: Rounded, value: Array, error: Array, trivial: Array) -> Rounded:
    """Vector libraries promise 1 ulp, two unit roundoffs; and exp(0) = 1, log(1) = 0 exactly."""
    rounded = result((a,), value, error, roundings=2)
    bound = np.where(trivial & (a.bound == 0), 0.0, rounded.bound)
    return Rounded(a.rounding, value, bound)


@rule(np.matmul)
def matmul(a: Rounded, b: Rounded) -> Rounded:
    magnitude_a, magnitude_b = a.absolute, b.absolute
    error: Array | float = 0.0
    if not b.is_exact:
        error = error + magnitude_a @ b.bound
    if not a.is_exact:
        error = error + a.bound @ (magnitude_b + b.closed_bound)

    def prescribed() -> Array:
        nan = reached(np.isnan(a.value), np.isnan(b.value))
        infinite = reached(np.isinf(a.value), np.isinf(b.value))
        return (nan & np.isfinite(error)) | (infinite & (a.is_exact and b.is_exact))

    def reached(in_a: Array, in_b: Array) -> Array:
        return (in_a @ np.ones(b.shape) + np.ones(a.shape) @ in_b) > 0

    return result(
        (a, b),
        value=a.value @ b.value,
        error=error,
        magnitude=magnitude_a @ magnitude_b,
        roundings=a.shape[-1],
        last_bit=a.last_bit + b.last_bit,
        prescribed=prescribed,
    )


@rule(np.sum)
def total(a: Rounded, axis: int | None = None, keepdims: bool = False) -> Rounded:
    def over_axis(x: Array) -> Array:
        return np.broadcast_to(x, a.shape).sum(axis=axis, keepdims=keepdims)

    terms = a.value.size if axis is None else a.shape[axis]
    return result(
        (a,),
        value=over_axis(a.value),
        error=0.0 if isinstance(a.error, float) else over_axis(a.error),
        magnitude=over_axis(a.magnitude),
        roundings=a.roundings + max(terms - 1, 0),
        last_bit=a.last_bit,
        prescribed=lambda: (
            over_axis(~np.isfinite(a.value)).astype(bool) & np.isfinite(over_axis(a.bound))
        ),
    )


@rule(np.max)
def maximum(a: Rounded, axis: int | None = None, keepdims: bool = False) -> Rounded:
    """A maximum moves by no more than the element that moves most."""
    value = a.value.max(axis=axis, keepdims=keepdims)
    error = 0.0 if a.is_exact else a.bound.max(axis=axis, keepdims=keepdims)
    return Rounded(a.rounding, value, error, last_bit=a.last_bit, selected=a.selected)


@rule(np.where)
def where(condition: Array | Decision, a: Any, b: Any) -> Rounded:
    """A choice copies. Where it is open, either outcome is admitted."""
    rounding = next(x.rounding for x in (a, b) if isinstance(x, Rounded))
    # A Python number here is a constant that gets stored, not an operand of some arithmetic.
    a, b = (x if isinstance(x, Rounded) else rounding.array(x) for x in (a, b))
    outcome = condition.outcome if isinstance(condition, Decision) else condition
    value = np.where(outcome, a.value, b.value)
    bit = min(a.last_bit, b.last_bit)
    if isinstance(condition, Decision) and condition.open.any():
        apart = (np.where(x.value == value, 0.0, np.abs(x.value - value)) for x in (a, b))
        either = np.maximum(*(x.closed_bound + d for x, d in zip((a, b), apart, strict=True)))
        either = np.where(np.isnan(either), np.inf, either)
        decided = np.where(outcome, a.closed_bound, b.closed_bound)
        return Rounded(rounding, value, np.where(condition.open, either, decided), last_bit=bit)
    return Rounded(
        rounding,
        value,
        np.where(outcome, a.error, b.error) if np.any(a.error) or np.any(b.error) else 0.0,
        np.where(outcome, a.magnitude, b.magnitude),
        max(a.roundings, b.roundings),
        bit,
        a.selected and b.selected,
    )


@rule(np.ones_like)
def ones_like(a: Rounded) -> Array:
    return np.ones(a.shape)


def compare(comparison: np.ufunc) -> Rule:
    def decide(a: Rounded, b: Rounded) -> Array | Decision:
        outcome = comparison(a.value, b.value)
        if a.is_exact and b.is_exact:
            return outcome
        doubt = a.closed_bound + b.closed_bound
        return Decision(outcome, (np.abs(a.value - b.value) <= doubt) & (doubt > 0))

    return decide


for comparison in (np.less, np.less_equal):
    rule(comparison)(compare(comparison))

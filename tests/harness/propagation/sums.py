"""Sums of many terms."""

import math

import numpy as np

from tests.harness.formats import Format
from tests.harness.products import PART
from tests.harness.propagation.rules import result, rule
from tests.harness.rounded import Array, Rounded, plus


@rule(np.matmul)
def matmul(a: Rounded, b: Rounded) -> Rounded:
    rounding = a.rounding
    if rounding.factors is not None:
        a, b = narrowed(a, rounding.factors), narrowed(b, rounding.factors)
    magnitude_a, magnitude_b = a.absolute, b.absolute
    error: Array | float = 0.0
    if not a.is_exact:
        error = a.bound @ plus(magnitude_b, b.closed_bound)
    if not b.is_exact:
        error = plus(magnitude_a @ b.bound, error)

    def prescribed() -> Array:
        nan = reached(np.isnan(a.value), np.isnan(b.value))
        infinite = reached(np.isinf(a.value), np.isinf(b.value))
        return (nan & np.isfinite(error)) | (infinite & (a.is_exact and b.is_exact))

    def reached(in_a: Array, in_b: Array) -> Array:
        return (in_a @ np.ones(b.shape) + np.ones(a.shape) @ in_b) > 0

    magnitude = magnitude_a @ magnitude_b
    last_bit = a.last_bit + b.last_bit
    if rounding.parts is not None:
        error = plus(in_parts(magnitude, error, a.shape[-1], last_bit, rounding.parts), error)
    return result(
        (a, b),
        value=a.value @ b.value,
        error=error,
        magnitude=magnitude,
        roundings=a.shape[-1],
        last_bit=last_bit,
        prescribed=prescribed,
        underflows=2 * a.shape[-1],
    )


def narrowed(x: Rounded, fmt: Format) -> Rounded:
    """An operand as a multiplier of few bits takes it."""
    reach = plus(x.absolute, x.closed_bound)
    held = fmt.holds(x.value) & (np.asarray(x.closed_bound) == 0)
    error = np.where(held, 0.0, plus(fmt.half_ulp(reach), x.closed_bound))
    error = np.where(reach < fmt.overflow, error, np.inf)
    return Rounded(x.rounding, x.value, error) if error.any() else x


def in_parts(
    magnitude: Array, error: Array | float, terms: int, last_bit: float, fmt: Format
) -> Array | float:
    """What is lost where parts of a sum are stored, and added, in a format.

    Each of them is rounded when it is stored and whenever another is added to it.
    """
    parts = -(-terms // PART)
    if parts < 2:
        return 0.0
    reach = plus(magnitude, error)
    gamma = parts * fmt.unit / (1 - parts * fmt.unit) if parts * fmt.unit < 1 else math.inf
    lost = gamma * reach + parts * fmt.tiny
    exact = magnitude <= 2.0 ** min(last_bit + fmt.precision, 1023)
    lost = np.where(exact & (np.asarray(error) == 0), 0.0, lost)
    return np.where(reach + lost < fmt.overflow, lost, np.inf)


@rule(np.sum)
def total(a: Rounded, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Rounded:
    def over_axis(x: Array) -> Array:
        return a.stretched(x).sum(axis=axis, keepdims=keepdims)

    axes = range(a.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    terms = math.prod(a.shape[i] for i in axes)
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
        underflows=terms * (a.underflows + 1),
    )
